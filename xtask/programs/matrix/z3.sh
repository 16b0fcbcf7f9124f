# z3: propositional, arithmetic, bit-vector and array problems, some satisfiable, some not.
source "$PROGRAMS/matrix/common.sh"

# Pigeons: n + 1 of them don't fit into n holes.
pigeons() {
  awk -v n="$1" 'BEGIN {
    for (p = 0; p <= n; p++) for (h = 0; h < n; h++) print "(declare-const p" p "h" h " Bool)"
    for (p = 0; p <= n; p++) { line = "(assert (or"; for (h = 0; h < n; h++) line = line " p" p "h" h; print line "))" }
    for (h = 0; h < n; h++) for (p = 0; p <= n; p++) for (q = 0; q < p; q++) print "(assert (not (and p" p "h" h " p" q "h" h ")))"
    print "(check-sat)" }' | z3 -in
}

queens() {
  awk -v n="$1" 'BEGIN {
    for (i = 0; i < n; i++) print "(declare-const q" i " Int)(assert (and (>= q" i " 0) (< q" i " " n ")))"
    for (i = 0; i < n; i++) for (j = 0; j < i; j++)
      print "(assert (and (distinct q" i " q" j ") (distinct (- q" i " q" j ") " i - j ") (distinct (- q" j " q" i ") " i - j ")))"
    print "(check-sat)" }' | z3 -in
}

pigeons 7
queens 8
z3 -in <<'SMT'
(declare-const a (_ BitVec 24)) (declare-const b (_ BitVec 24))
(assert (= (bvmul a b) #x0f4241)) (assert (bvugt a #x000001)) (assert (bvult a #x001000)) (assert (bvult b #x001000))
(check-sat)
(reset)
(declare-const x Real) (declare-const y Real)
(assert (> (+ (* x x) (* y y)) 2)) (assert (= (* x y) 1)) (assert (> x y))
(check-sat)
(reset)
(declare-const m (Array Int Int)) (declare-const i Int)
(assert (forall ((k Int)) (=> (and (>= k 0) (< k 50)) (< (select m k) (select m (+ k 1))))))
(assert (> i 5)) (assert (< i 40)) (assert (> (select m i) (select m (+ i 3))))
(check-sat)
SMT
