local function words(count)
  local list = {}
  for i = 1, count do list[i] = ("w" .. i * 7919 % 5003):rep(i % 5 + 1) end
  return list
end

local counts = {}
for _, word in ipairs(words(200000)) do counts[word] = (counts[word] or 0) + 1 end
local keys = {}
for word in pairs(counts) do keys[#keys + 1] = word end
table.sort(keys)
print(#keys, keys[1], keys[#keys])

local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end
local function size(node) return node[1] and 1 + size(node[1]) + size(node[2]) or 1 end
for depth = 4, 16, 4 do print(depth, size(tree(depth))) end

local total = 0
for i = 1, 20000 do
  local generator = coroutine.wrap(function() for k = 1, 5 do coroutine.yield(k * i) end end)
  for _ = 1, 5 do total = total + generator() end
end
print(total)

local parts = {}
for i = 1, 100000 do parts[#parts + 1] = string.format("%05d:%x;", i, i * i) end
local text = table.concat(parts)
print(#text, select(2, text:gsub("%d+:(%x+);", "%1")), #text:gsub("[13579]", "odd"))
collectgarbage()
local weak = setmetatable({}, {__mode = "v"})
for i = 1, 10000 do weak[i] = {i} end
collectgarbage()
print(next(weak))
