# Node: V8's own heap maps its memory itself, so the engine sees buffers, the parser's zones and libuv.
. "$(dirname "$0")/common.sh"
on_engine node "$(dirname "$0")/buffers.js" "$(scaled 60)" | checksum
