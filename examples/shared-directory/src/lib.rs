//! Counts the words in a library: each sub-agent may read the one shelf that it counts.
use sublane_sdk::files::{self, Kind};
use sublane_sdk::{Failure, Scope, Spawn, agent, plugin, wait_all};

/// Counts the words in all files of the directory `library`, a sub-agent for each directory in it.
#[agent]
fn count() -> Result<usize, Failure> {
    let mut children = Vec::new();
    for shelf in files::list("library", &[], None)?.into_iter().filter(|entry| entry.kind == Kind::Directory)
    {
        // Of all that this run may read, the child gets this directory, and may not write.
        let scope = Scope::new().files_read("library", [&shelf.name]);
        children.push(Spawn::agent("shared-directory/count-shelf").task(&shelf.name).scope(scope).start()?);
    }
    let mut words = 0;
    for outcome in wait_all(&children)? {
        words += outcome.decode::<usize>()?;
    }
    Ok(words)
}

/// Counts the words in the files of one shelf.
#[agent]
fn count_shelf(shelf: String) -> Result<usize, Failure> {
    let mut words = 0;
    for book in files::list("library", &[&shelf], None)?.iter().filter(|entry| entry.kind == Kind::File) {
        let text = files::read_all("library", &[&shelf, &book.name])?;
        words += String::from_utf8_lossy(&text).split_whitespace().count();
    }
    Ok(words)
}
plugin!(agents: [count, count_shelf]);
