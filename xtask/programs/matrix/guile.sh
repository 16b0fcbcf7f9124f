# guile: lists, hash tables, bignums, strings (its collector, libgc, takes only part of its memory from malloc).
source "$PROGRAMS/matrix/common.sh"
export GUILE_AUTO_COMPILE=0
guile-3.0 -s "$PROGRAMS/matrix/guile.scm"
