# CPython's own tests, some 370 modules, with every object taken from malloc.
source "$PROGRAMS/matrix/common.sh"
export PYTHONMALLOC=malloc
/usr/bin/python3.11 "$PROGRAMS/matrix/cpython.py"
