# Z3 on bit vectors: tries to factor several numbers, which it solves as SAT problems, one after another.
. "$(dirname "$0")/common.sh"

query() {
    cat <<SMT
(push)
(declare-const a (_ BitVec 32))
(declare-const b (_ BitVec 32))
(assert (= (bvmul a b) (_ bv$1 32)))
(assert (and (bvugt a (_ bv1 32)) (bvule a b) (bvult a (_ bv4096 32)) (bvult b (_ bv1048576 32))))
(check-sat)
(pop)
SMT
}

for i in $(seq "$(scaled 6)"); do query $((62615533 + 4 * i)); done >queries.smt2
on_engine z3 smt.random_seed=1 queries.smt2 | checksum
