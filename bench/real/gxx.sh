# g++ compiling heavy templates; the driver's child cc1plus inherits the engine.
. "$(dirname "$0")/common.sh"
on_engine g++ -std=c++17 -O1 -DFIELDS="$(scaled 2)" -S -o - "$(dirname "$0")/templates.cc" | grep -v '^\s*\.file' | checksum
