# stress-ng's malloc stressor: random sizes, realloc, calloc, several threads, each block's contents verified.
source "$PROGRAMS/matrix/common.sh"
stress() { stress-ng --quiet --no-rand-seed --temp-path . --verify --timeout 4s "$@" || { echo "stress-ng $*: status $?" >&2; exit 1; }; }
stress --malloc 2 --malloc-bytes 64K --malloc-max 4000
echo 'small blocks done'
stress --malloc 2 --malloc-bytes 4M --malloc-max 200 --malloc-touch --malloc-thresh 1M
echo 'big blocks done'
stress --malloc 1 --malloc-bytes 256K --malloc-max 1000 --malloc-pthreads 3
echo 'threads done'
stress --tree 1 --tree-size 20000 --list 1 --hsearch 1
echo 'trees, lists and hash tables done'
