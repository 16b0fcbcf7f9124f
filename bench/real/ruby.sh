# Ruby: strings and hash tables on malloc, dropped in bulk by the collector while other threads make new ones.
. "$(dirname "$0")/common.sh"
on_engine ruby --disable-gems "$(dirname "$0")/strings.rb" "$(scaled 40)" | checksum
