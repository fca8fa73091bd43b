;; Writes to a file by a number that nobody gave it.
(import "sublane:plugin/artifact@0.1.0" "[resource-drop]writer" (func $drop (param i32)))
(memory 1)
(func $run (result i32) (call $drop (i32.const 4711)) unreachable)
