# ruby: objects, strings, threads, symbols, compaction of the heap.
source "$PROGRAMS/matrix/common.sh"
ruby "$PROGRAMS/matrix/ruby.rb"
