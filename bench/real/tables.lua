-- Trees of tables, string building, sorting, closures; the collector frees them.
local function tree(depth)
  if depth == 0 then return { value = 1 } end
  return { left = tree(depth - 1), right = tree(depth - 1), value = depth }
end

local function total(node)
  return node and node.value + total(node.left) + total(node.right) or 0
end

local function words(count)
  local list = {}
  for i = 1, count do list[i] = string.format("%x-%s", (i * 7919) % 10007, string.rep("y", i % 40)) end
  table.sort(list)
  return #table.concat(list, ",")
end

local function closures(count)
  local sum, list = 0, {}
  for i = 1, count do list[i] = function(n) return n + i end end
  for i = 1, count do sum = sum + list[i](i) end
  return sum
end

for _ = 1, tonumber(arg[1]) do print(total(tree(14)), words(20000), closures(40000)) end
