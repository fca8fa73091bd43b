;; Has as much memory from its beginning as WebAssembly allows.
(memory 65536)
