//! Damage that is seen before a host works on a file, and before a copy gets its name.

use std::path::Path;

use rusqlite::Connection;

use super::super::{SqliteStore, backup};
use super::file;
use crate::{Backend as _, StoreError};

const PAGE: usize = 8_192;

/// A store whose bucket has so many pages, closed.
async fn filled(path: &Path, pages: u32) {
    let store = SqliteStore::open(path).expect("a new store");
    let value = vec![7; 5_000];
    store
        .write(move |rows| (0..pages).try_for_each(|n| rows.kv_set("b", &format!("k{n:06}"), &value)))
        .await
        .expect("written");
}

/// Puts noise over the page of this number.
fn damage(path: &Path, page: usize) {
    let mut bytes = std::fs::read(path).expect("it is there");
    bytes[(page - 1) * PAGE..page * PAGE]
        .iter_mut()
        .zip(0_u32..)
        .for_each(|(byte, n)| *byte = (n * 37 % 251) as u8);
    std::fs::write(path, bytes).expect("it is damaged");
}

fn root_of(path: &Path, table: &str) -> usize {
    let connection = Connection::open(path).expect("SQLite");
    let root: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
        .expect("it is there");
    usize::try_from(root).expect("a page")
}

fn check_refused(path: &Path) {
    let error = SqliteStore::open(path).err().expect("it is damaged");
    let StoreError::Damaged { why, .. } = &error else { panic!("{error}") };
    assert!(error.is_damage() && why.contains("`sublane store backup --help` says how"), "{error}");
}

#[tokio::test]
async fn in_a_small_file_any_page_is_looked_at() {
    let (_directory, path) = file();
    filled(&path, 100).await;
    let pages = std::fs::metadata(&path).expect("there").len() as usize / PAGE;
    let whole = std::fs::read(&path).expect("there");
    for page in [pages / 3, pages / 2, pages - 5] {
        damage(&path, page);
        check_refused(&path);
        std::fs::write(&path, &whole).expect("mended");
    }
    SqliteStore::open(&path).expect("it is whole");
}

#[tokio::test]
async fn in_a_large_file_the_top_of_each_table_is_looked_at() {
    let (_directory, path) = file();
    filled(&path, 2_000).await;
    let whole = std::fs::read(&path).expect("there");
    for table in ["run", "wait", "delivery", "kv"] {
        damage(&path, root_of(&path, table));
        check_refused(&path);
        std::fs::write(&path, &whole).expect("mended");
    }
    SqliteStore::open(&path).expect("it is whole");
}

#[tokio::test]
async fn what_is_damaged_gives_no_copy_and_leaves_the_last_one() {
    let (directory, path) = file();
    filled(&path, 2_000).await;
    let copy = directory.path().join("copy of #1?.db");
    let bytes = backup(&path, &copy, &mut |_, _| {}).expect("it is whole");
    assert_eq!(std::fs::metadata(&copy).expect("there").len(), bytes);
    let last = std::fs::read(&copy).expect("there");
    damage(&path, std::fs::metadata(&path).expect("there").len() as usize / PAGE - 5);
    let error = backup(&path, &copy, &mut |_, _| {}).expect_err("it is damaged");
    assert!(error.is_damage() && error.to_string().contains("store.db is damaged"), "{error}");
    assert!(std::fs::read(&copy).expect("there") == last, "the last one is as it was");
    let other = directory.path().join("other.db");
    backup(&path, &other, &mut |_, _| {}).expect_err("it is damaged");
    let mut names: Vec<_> = std::fs::read_dir(directory.path())
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .filter(|name| !name.starts_with("store.db-"))
        .collect();
    names.sort();
    assert_eq!(names, ["copy of #1?.db", "store.db"], "nothing looks like a copy");
}
