//! Random operations on the in-memory model and on another store: each answers the same, and the
//! same can be seen after each.
//!
//! A second store is put under it with an `impl Subject` and a test that calls
//! [`same_as_the_model`]. `SUBLANE_PROPERTY_CASES` says how many sequences; `cargo xtask soak
//! --sequences` sets it.

mod apply;
mod seen;
mod step;
mod view;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use sublane_core::Timestamp;
use sublane_store::{Model, SqliteStore, Store};

use apply::apply;
use seen::looked_up;
pub(crate) use seen::seen;
use step::{Step, moments, steps};
use view::View;

/// Sequences, unless somebody says so.
const SEQUENCES: u32 = 64;

/// A kind of store that is compared with the model.
pub(crate) trait Subject {
    /// The store.
    type Store: Store;

    /// A new store, with nothing in it, whose files, if it has some, are in this directory.
    fn new(directory: &Path) -> Self::Store;

    /// What [`seen::looked_up`] gives of it. `None`: it shows nobody its rows, and only what it
    /// answers and lists is compared.
    fn looked_up(store: &Self::Store, now: Timestamp) -> impl Future<Output = Option<String>>;

    /// What is wrong with what it has written, a line each, by its own rules.
    fn violations(directory: &Path) -> Vec<String>;
}

/// The embedded default.
struct Sqlite;

impl Subject for Sqlite {
    type Store = SqliteStore;

    fn new(directory: &Path) -> SqliteStore {
        SqliteStore::open(&directory.join("store.db")).expect("a new store")
    }

    async fn looked_up(store: &SqliteStore, now: Timestamp) -> Option<String> {
        Some(looked_up(store, now).await)
    }

    fn violations(directory: &Path) -> Vec<String> {
        let checked = sublane_store::sqlite::check(&directory.join("store.db"), directory);
        let mut violations = checked.expect("it can be opened").violations;
        // There are no files here, and the numbers of entries are those of the steps.
        violations.retain(|line| !line.contains("its file") && !line.contains("not the one before it"));
        violations
    }
}

/// Plays random sequences of operations on the model and on a new store of this kind each. A
/// sequence after which the two differ is told, as short as it can be made.
///
/// # Panics
/// When there is one.
pub(crate) fn same_as_the_model<S: Subject>() {
    let said = std::env::var("SUBLANE_PROPERTY_CASES").ok();
    let cases = said.map_or(SEQUENCES, |said| said.parse().expect("SUBLANE_PROPERTY_CASES is a number"));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    match TestRunner::new(config).run(&steps(), |steps| sequence::<S>(&steps)) {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("{why}\nafter these steps: {steps:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn sequence<S: Subject>(steps: &[(Step, u16)]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory for the test");
    let (model, store) = (Model::default(), S::new(directory.path()));
    runtime.block_on(async {
        for ((step, _), moment) in steps.iter().zip(moments(steps)) {
            let view = View::of(&model).await;
            let expected = apply(&model, step, &moment, &view).await;
            let answered = apply(&store, step, &moment, &view).await;
            prop_assert_eq!(&expected, &answered, "answers to {:?}", step);
            prop_assert!(!expected.contains("Corrupt"), "{:?}: {}", step, expected);
            prop_assert_eq!(seen(&model).await, seen(&store).await, "after {:?}", step);
            if let Some(found) = S::looked_up(&store, moment.now).await {
                prop_assert_eq!(looked_up(&model, moment.now).await, found, "looked up after {:?}", step);
            }
        }
        Ok(())
    })?;
    prop_assert_eq!(S::violations(directory.path()), Vec::<String>::new());
    Ok(())
}

#[test]
fn sqlite_answers_and_shows_the_same_as_the_model() {
    same_as_the_model::<Sqlite>();
}
