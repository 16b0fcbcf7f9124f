# git: hundreds of commits on branches, merges, gc with an aggressive repack, fsck, clone, blame.
source "$PROGRAMS/matrix/common.sh"
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@localhost
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'

git init -q -b main origin
cd origin
git config gc.auto 0
for commit in $(seq 1 150); do
  mkdir -p "folder$((commit % 7))"
  seq "$commit" $((commit * 20)) >"folder$((commit % 7))/file$((commit % 23)).txt"
  echo "line $commit" >>log.txt
  git add .
  git commit -q -m "commit $commit"
  [ $((commit % 25)) -ne 0 ] || git branch "branch$commit"
done
git checkout -q branch50
seq 1 3000 >only-here.txt
git add . && git commit -q -m 'on a branch'
git checkout -q main
git merge -q -m merged branch50
git rev-parse HEAD
git gc -q --aggressive --prune=now
git fsck --full --strict 2>&1
git count-objects -v | grep -v size
cd ..
git clone -q --no-local origin copy
cd copy
git fsck --full 2>&1
git log --stat --all | md5sum
git blame log.txt | md5sum
git diff --stat HEAD~40 HEAD | tail -n 1
git archive HEAD | tar -t | wc -l
git grep -c 77 | sort | head -n 5
