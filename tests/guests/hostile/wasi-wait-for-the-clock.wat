;; Looks at the clock of WASI until time has passed: it stands still between two imports that are not local.
(import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $now (result i64)))
(memory 1)
(func $run (result i32)
    (local $begin i64)
    (local.set $begin (call $now))
    (loop $l (br_if $l (i64.eq (call $now) (local.get $begin))))
    unreachable)
