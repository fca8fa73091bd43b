;; Computes without end when it is asked what agents it has.
(memory 1)
(func $list (result i32) (loop $l (br $l)) unreachable)
