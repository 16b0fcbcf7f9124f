# CPython's own tests of its memory, its containers and its extension modules in C, with its own pools for small objects:
# malloc sees big blocks, and the pools' arenas come from mmap.
source "$PROGRAMS/matrix/common.sh"
unset PYTHONMALLOC
/usr/bin/python3.11 "$PROGRAMS/matrix/cpython.py" \
  test_array test_ast test_bigaddrspace test_binascii test_buffer test_bytes test_bz2 test_collections \
  test_compile test_contextlib test_copy test_coroutines test_csv test_ctypes test_dataclasses test_datetime test_dbm \
  test_decimal test_deque test_descr test_dict test_difflib test_email test_enum test_exceptions test_finalization \
  test_float test_fork1 test_functools test_gc test_generators test_gzip test_hashlib test_heapq test_import test_inspect \
  test_itertools test_json test_list test_long test_lzma test_marshal test_memoryio test_memoryview test_mmap \
  test_ordered_dict test_os test_pathlib test_pickle test_posix test_pyexpat test_queue test_random test_range test_re \
  test_set test_shelve test_sort test_statistics test_struct test_sys test_tarfile test_thread \
  test_threading test_threadsignals test_traceback test_tracemalloc test_tuple test_typing test_unicode test_unittest \
  test_urllib test_userdict test_weakref test_xml_etree test_xml_etree_c test_zipfile test_zlib
