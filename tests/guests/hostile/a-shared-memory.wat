;; Has a memory that threads could share, and so a clock of its own.
(memory 1 1 shared)
