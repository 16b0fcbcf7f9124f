# CPython with its own small-block allocator off (PYTHONMALLOC=malloc comes from the runner): objects, dicts, strings, JSON.
. "$(dirname "$0")/common.sh"
export PYTHONMALLOC=malloc PYTHONHASHSEED=0
# Not pyenv's shell wrapper: the interpreter itself.
PYTHON=$(python3 -c 'import sys; print(sys.executable)')
on_engine "$PYTHON" -I -S "$(dirname "$0")/objects.py" "$(scaled 12)" | checksum
