;; Says that it has 100,000 agents without a name: small in its memory, large in the host's.
(memory 60)
(data (i32.const 0x100) "\00\10\00\00\a0\86\01\00")
(func $list (result i32) (i32.const 0x100))
