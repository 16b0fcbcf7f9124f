# coreutils, findutils, sed, tar: sorting with threads and little memory, a tree of files, long lines.
source "$PROGRAMS/matrix/common.sh"
seq 1 700000 | awk '{ print $1 * 7919 % 1000003, $1, "x" $1 % 97 }' >data.txt
sort --parallel=4 -S 20M -T . -k1,1n -k3,3 data.txt | md5sum
sort --parallel=2 -S 200M -r -k3,3 -k2,2n data.txt | md5sum
sort -u -k3,3 data.txt | wc -l
join <(sort -k1,1 data.txt) <(sort -k1,1 data.txt | head -n 50000) | md5sum
tr '\n' ' ' <data.txt | sed 's/x1[0-9]/[&]/g' | md5sum
mkdir tree
for folder in $(seq 1 30); do mkdir -p "tree/$((folder % 5))/$folder"; split -n "l/40" -a 3 data.txt "tree/$((folder % 5))/$folder/part-" & (( folder % 2 )) || wait; done
wait
find tree -type f -name 'part-*a' -printf '%P %s\n' | sort | md5sum
tar -C tree -cf - --sort=name --mtime=@0 --owner=0 --group=0 . | md5sum
du -a --apparent-size tree | wc -l
