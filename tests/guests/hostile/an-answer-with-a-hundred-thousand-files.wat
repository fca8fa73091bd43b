;; Ends well, with a list of 100,000 files without a name.
(memory 60)
(data (i32.const 0x100) "\00\00\00\00\40\01\00\00\02\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10\00\00\a0\86\01\00")
(data (i32.const 0x140) "{}")
(func $run (result i32) (i32.const 0x100))
