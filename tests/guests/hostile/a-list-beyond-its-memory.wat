;; Says that its agents stand where it has no memory.
(memory 1)
(data (i32.const 0x100) "\f0\ff\ff\ff\01\00\00\00")
(func $list (result i32) (i32.const 0x100))
