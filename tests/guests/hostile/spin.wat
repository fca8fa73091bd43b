;; Computes without end.
(memory 1)
(func $run (result i32) (loop $l (br $l)) unreachable)
