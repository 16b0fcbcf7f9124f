# gawk: associative arrays, string building, sorting, fields.
source "$PROGRAMS/matrix/common.sh"
gawk 'BEGIN {
  for (i = 1; i <= 200000; i++) { key = "k" (i * 7919 % 30011); count[key]++; text[key] = text[key] "," i }
  n = asorti(count, order); print n, order[1], order[n]
  for (key in text) total += length(text[key]); print total
  for (i = 1; i <= 20000; i++) long = long sprintf("%d-%x ", i, i * i)
  print length(long), split(long, parts, " "), gsub(/[0-9]+-/, "", long), length(long)
  for (a = 0; a < 200; a++) for (b = 0; b < 200; b++) grid[a][b] = a * b
  for (a in grid) for (b in grid[a]) sum += grid[a][b]; print sum
}'
seq 1 300000 | gawk '{ line[NR] = $0 " " $1 * 2 } END { for (i = NR; i > 0; i -= 7) print line[i] }' | md5sum
