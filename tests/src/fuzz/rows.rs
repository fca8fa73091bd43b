//! Rows of a store that somebody else wrote: a column gets another value, and everything that a store
//! can be asked is asked. It may say that the store is damaged.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;
use sublane_core::grants::Grants;
use sublane_core::{
    ConversationId, Destination, Lifetime, Priority, Purse, PurseAsk, RunId, RunSpec, Timestamp, Token,
};
use sublane_store::ops::NewConversation;
use sublane_store::{Accept, DeliveryFilter, RunFilter, SqliteStore, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store with a run that has ended, and a connection beside it that changes rows.
struct World {
    runtime: Runtime,
    store: SqliteStore,
    beside: Connection,
    columns: Vec<(String, String)>,
    run: RunId,
    _directory: TempDir,
}

thread_local! {
    static WORLD: World = World::new();
}

fn destination() -> Destination {
    "console:me".parse().expect("well formed")
}

fn spec() -> RunSpec {
    let grants = r#"{"spawn":{"agents":["video/*"],"depth":3,"active_children":5},"channels":["origin"],"tools":[],
        "kv":[],"artifacts":true,"caps":{"deadline":9000000,"memory_bytes":1000}}"#;
    RunSpec {
        id: RunId::new(Timestamp(1_000), [1; 10]),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([1; 16]),
        origin: destination(),
        plugin: "video".into(),
        agent: "render".into(),
        plugin_digest: "ab".repeat(32),
        name: "a film".to_owned(),
        lane: "subagent".into(),
        priority: Priority::Normal,
        depth: 0,
        input: "{}".into(),
        artifacts: Vec::new(),
        grants: serde_json::from_str::<Grants>(grants).expect("grants in their stored form"),
        purse: Purse::default(),
        destinations: vec![destination()],
        created: Timestamp(1_000),
        dedupe_key: Some("k".to_owned()),
        spawner: "video".into(),
        seed: [1; 32],
        retry: None,
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path).expect("a new store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let run = runtime.block_on(async {
            let purse = Purse { cpu_us: 1_000, host_calls: 1_000, spawns: 3, ..Purse::default() };
            let conversation = NewConversation { id: ConversationId([1; 16]), origin: destination(), purse };
            let ask = PurseAsk::exactly(Purse { spawns: 1, ..Purse::default() });
            let accept = Accept { conversation, event: None, spec: Box::new(spec()), ask };
            let run = store.accept(accept).await.expect("accepted").run;
            store
                .claim(run, Token(7), Timestamp(1_001))
                .await
                .expect("the store works")
                .expect("it was queued");
            store.progress(vec![(run, 5, "half".into())]).await.expect("noted");
            store.cancel(run, "enough".into(), "file:///".into(), Timestamp(1_002)).await.expect("cancelled");
            run
        });
        let beside = connection(&path);
        let columns = columns(&beside);
        assert!(columns.len() > 50, "{columns:?}");
        Self { runtime, store, beside, columns, run, _directory: directory }
    }

    /// Everything that can be asked. What is damaged is an error.
    fn ask(&self) {
        let (store, run) = (&self.store, self.run);
        self.runtime.block_on(async {
            let _ = store.run(run).await;
            let _ = store.runs(RunFilter { limit: 10, ..RunFilter::default() }).await;
            let _ = store.wait_of(run).await;
            let _ = store.journal(run, 0).await;
            let _ = store.logs(run, 0).await;
            let _ = store.conversations(None, 10).await;
            let _ = store.deliveries(DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await;
            let _ = store.queued(None, 10).await;
            let _ = store.lane_settings().await;
            let _ = store.intents(10).await;
        });
    }
}

fn connection(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the store's file");
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF").expect("settings");
    connection
}

/// Every column of every table that has rows with numbers.
fn columns(connection: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, c.cid";
    let mut statement = connection.prepare(sql).expect("SQLite describes itself");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("two names")).collect()
}

/// The first line names a column (a number, modulo), its last byte the type; the rest is the value.
pub(super) fn read(input: &[u8]) {
    let [which, kind, rest @ ..] = input else { return };
    WORLD.with(|world| {
        let (table, column) = &world.columns[usize::from(*which) % world.columns.len()];
        let text = || String::from_utf8_lossy(rest).into_owned();
        let value = match kind % 4 {
            0 => Value::Text(text()),
            1 => Value::Blob(rest.to_vec()),
            2 => Value::Integer(text().trim().parse().unwrap_or(i64::MAX)),
            _ => Value::Null,
        };
        let select = format!("SELECT rowid, \"{column}\" FROM \"{table}\"");
        let Ok(mut statement) = world.beside.prepare(&select) else { return };
        let before: Vec<(i64, Value)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .unwrap_or_default();
        let set = format!("UPDATE \"{table}\" SET \"{column}\" = ?2 WHERE rowid = ?1");
        for (row, old) in before {
            // What a constraint refuses cannot be there.
            if world.beside.execute(&set, (row, &value)).is_ok() {
                world.ask();
                // A column that is the row's number has moved it.
                let moved = if world.beside.execute(&set, (row, &old)).expect("it was there") == 0 {
                    &value
                } else {
                    continue;
                };
                world.beside.execute(&set, (moved, &old)).expect("it was there");
            }
        }
    });
}
