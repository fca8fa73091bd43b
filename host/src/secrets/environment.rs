//! Takes a variable out of the process's environment.
//!
//! The host's one place that changes the environment. What a child process is given, and what code in
//! this process can ask for, has the variable no more. What the kernel shows of the process's beginning
//! (`/proc/PID/environ`, to the same user only) is not in our hands: a file or a program is better.

/// Removes it, as long as nobody else can be reading the environment: see below.
///
/// Where the process has other threads already it stays, and the log says so.
pub(super) fn remove(name: &str) {
    if std::env::var_os(name).is_none() {
        return;
    }
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if !matches!(threads, Ok(1)) {
        tracing::warn!(name, "the variable of a secret stays in the environment: the process has threads");
        return;
    }
    #[expect(unsafe_code, reason = "the environment is the process's, and has no owner that could be locked")]
    // SAFETY: this is the only thread, so nothing reads or writes the environment meanwhile; and the
    // name is one of a variable that is there.
    unsafe {
        std::env::remove_var(name);
    }
}
