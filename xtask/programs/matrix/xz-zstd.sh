# xz, zstd, gzip, bzip2: compressing some megabytes with two threads and restoring them.
source "$PROGRAMS/matrix/common.sh"
seq 1 900000 | sed 's/7/seven/' >data.txt
md5sum <data.txt
xz -T2 -3 --block-size=1MiB -k -c data.txt | tee data.xz | md5sum
xz -T2 -dc data.xz | md5sum
for level in 1 9 19; do
  head -c 4000000 data.txt | zstd -q -T2 "-$level" -c >data.zst
  zstd -q -dc data.zst | md5sum
done
zstd -q --train -B2000 data.txt -o dictionary 2>/dev/null && md5sum <dictionary
zstd -q --long=27 -D dictionary -c data.txt | zstd -q --long=27 -D dictionary -dc | md5sum
gzip -9c data.txt | gzip -dc | md5sum
