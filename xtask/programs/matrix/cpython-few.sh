# A few of CPython's own tests, short ones, every object from malloc: for runs that are repeated under many settings.
source "$PROGRAMS/matrix/common.sh"
export PYTHONMALLOC=malloc
/usr/bin/python3.11 "$PROGRAMS/matrix/cpython.py" \
  test_array test_bytes test_dict test_gc test_heapq test_list test_struct test_unicode test_zlib
