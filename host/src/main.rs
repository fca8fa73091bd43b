//! The command `sublane`.
//!
//! Owns the process: its arguments, its signals, its logs and its exit code.
//! What a host is and does is the library's.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
