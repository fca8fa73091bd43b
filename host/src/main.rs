//! The command `sublane`.
//!
//! Owns the process: its arguments, its signals, its logs and its exit code.
//! What a host is and does is the library's.

mod cli;

use std::process::ExitCode;

/// A spawn allocates and frees across threads; glibc's arenas grow by `mprotect`,
/// which is the mapping call that a warm spawn must not make.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else: a process that compiles for a host does nothing but that.
    let arguments: Vec<_> = std::env::args_os().collect();
    sublane::engine::compile::helper(&arguments).unwrap_or_else(cli::main)
}
