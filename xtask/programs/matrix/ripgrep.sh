# ripgrep: searching a tree of some thousand files with four threads, with classes, alternatives and captures.
source "$PROGRAMS/matrix/common.sh"
mkdir tree
for folder in $(seq 1 30); do
  mkdir "tree/$folder"
  for file in $(seq 1 25); do
    seq $((folder * file)) $((folder * file + 500)) | sed "s/\$/ folder $folder file $file/" >"tree/$folder/$file.txt"
  done
done
search() { rg --no-config -j 4 "$@" tree | sort | md5sum; }
search '1[0-9]{2}7 folder'
search -c 'file 2[0-5]$'
search -i -w 'FOLDER 3\d' -o
search -r '$2/$1' -o 'folder (\d+) file (\d+)$'
search -e '^999 ' -e '^1000 ' -e 'nothing' -C 2
search -U 'file 7\n30. folder \d+'
search -l '\p{Nd}99 .* file 13'
