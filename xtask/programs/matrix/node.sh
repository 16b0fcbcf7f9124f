# node: JSON, buffers, maps, regular expressions, worker threads.
source "$PROGRAMS/matrix/common.sh"
node "$PROGRAMS/matrix/node.js"
