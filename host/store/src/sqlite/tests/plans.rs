//! Query plans: no statement walks what grows, none sorts it.
//!
//! Every statement's plan is read; those of the sweeps are also run beside few
//! and beside many rows that they have nothing to do with, and take the same steps.

use rusqlite::types::Value;
use rusqlite::{Connection, StatementStatus, params_from_iter};
use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::{
    ConversationId, Destination, Grants, Lifetime, Outcome, Output, Path, Priority, Purse, PurseAsk, RunId,
    RunSpec, Share, Timestamp, Token,
};

use super::super::statements::Sql;
use super::super::{Bare, connection};
use super::file;
use crate::ops::NewConversation;
use crate::rows::{Wait, WaitFor};
use crate::{Accept, By, Rows, StoreError, ops};

/// Statements that pass over rows of a table in the order of their numbers, each with its reason.
const MAY_WALK: &[Sql] = &[
    // People's lists without a filter: the newest ones, as many as are shown.
    Sql::RunsAll,
    // One row each: the newest before a number.
    Sql::RunLast,
    Sql::DeliveryLast,
    // The same. With a filter by `delivered`, which most are, nearly the same.
    Sql::DeliveriesAll,
    // What it passes over it removes.
    Sql::IntentAnswersDelete,
    // All of them are wanted, oldest first, and applied ones are gone.
    Sql::Intents,
];

/// The lines of a statement's query plan.
fn plan(connection: &Connection, sql: Sql) -> Vec<String> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text())).expect("it is SQL");
    // Parameters that are not bound are NULL; the plan does not depend on them.
    let rows = explain.raw_query().mapped(|row| row.get("detail"));
    rows.collect::<Result<_, _>>().expect("a plan has details")
}

#[test]
fn every_statement_goes_through_an_index_and_none_sorts() {
    let (_directory, path) = file();
    let connection = connection::open_writing(&path).expect("a new store");
    let mut seen = 0;
    for sql in Sql::ALL {
        for line in plan(&connection, *sql) {
            seen += 1;
            assert!(!line.contains("SCAN"), "{sql:?} walks a table: {line}");
            assert!(!line.contains("TEMP B-TREE"), "{sql:?} sorts: {line}");
            let walks =
                ["(rowid<?)", "(rowid>?)", "(rowid>? AND rowid<?)"].iter().any(|by| line.contains(by));
            assert!(!walks || MAY_WALK.contains(sql), "{sql:?} walks by number: {line}");
        }
    }
    assert!(seen > Sql::ALL.len() / 2, "the plans were read");
}

/// What a removal of a row looks for in the tables that refer to it is in no plan.
#[test]
fn every_reference_between_tables_has_an_index() {
    let (_directory, path) = file();
    let connection = connection::open_writing(&path).expect("a new store");
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").expect("it is SQL");
    let tables: Vec<String> =
        tables.query_map((), |row| row.get(0)).expect("readable").collect::<Result<_, _>>().expect("names");
    let mut seen = 0;
    for table in tables {
        let references = format!("SELECT \"from\" FROM pragma_foreign_key_list('{table}')");
        let mut references = connection.prepare(&references).expect("it is SQL");
        let columns = references.query_map((), |row| row.get::<_, String>(0)).expect("readable");
        for column in columns.collect::<Result<Vec<_>, _>>().expect("names") {
            seen += 1;
            let search = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = ?1");
            let plan: String =
                connection.query_row(&search, [1], |row| row.get("detail")).expect("a plan has details");
            assert!(plan.starts_with("SEARCH"), "{table}.{column} has no index: {plan}");
        }
    }
    assert!(seen > 5, "the references were read");
}

#[test]
fn partial_indexes_serve_what_they_are_for() {
    let (_directory, path) = file();
    let connection = connection::open_writing(&path).expect("a new store");
    for (sql, index) in [
        (Sql::RunsReady, "run_queued"),
        (Sql::RunsQueued, "run_queued"),
        (Sql::RunsDelayed, "run_delayed"),
        (Sql::RunsToBegin, "run_delayed"),
        (Sql::RunNextBegin, "run_delayed"),
        (Sql::RunsOld, "run_ended"),
        (Sql::RunsActive, "run_active"),
        (Sql::RunsClaimed, "run_active"),
        (Sql::RunsOverdue, "run_deadline"),
        (Sql::RunNext, "run_deadline"),
        (Sql::RunAttached, "run_attached"),
        (Sql::RunsOfParent, "run_parent"),
        (Sql::RunChild, "run_parent"),
        (Sql::RunsOfConversation, "run_conversation"),
        (Sql::ConversationRun, "run_conversation"),
        (Sql::RunsOfPlugin, "run_plugin"),
        (Sql::RunsLiving, "run_conversation"),
        (Sql::RunsLive, "run_live_on"),
        (Sql::RunsLiveOn, "run_live_on"),
        (Sql::RunsSpawnedBy, "run_parent"),
        (Sql::RunByDedupe, "run_dedupe"),
        (Sql::WaitsDue, "wait_due"),
        (Sql::WaitNext, "wait_due"),
        (Sql::DeliveriesDue, "delivery_due"),
        (Sql::DeliveriesOpen, "delivery_open"),
        (Sql::DeliveriesSending, "delivery_open"),
        (Sql::DeliveriesTo, "delivery_to"),
        (Sql::RunEvent, "inbox_run"),
        (Sql::ArtifactLinked, "artifact_id"),
        (Sql::HooksOf, "hook_run"),
        (Sql::PollsOf, "poll_run"),
        (Sql::PollsDelete, "poll_run"),
        (Sql::PollNext, "poll_due"),
        (Sql::PollsDue, "poll_due"),
        (Sql::HooksDelete, "hook_run"),
        (Sql::HookByToken, "sqlite_autoindex_hook_2"),
    ] {
        let plan = plan(&connection, sql).join("; ");
        assert!(plan.contains(&format!("INDEX {index} ")), "{sql:?}: {plan}");
    }
}

/// Statements that sweeps run, with parameters with which they find nothing.
fn sweeps() -> Vec<(Sql, Vec<Value>)> {
    let (start, limit) = (Value::Integer(0), Value::Integer(10));
    let (nobody, nowhere) = (Value::Blob(vec![0; 16]), Value::Text("nowhere".into()));
    vec![
        (Sql::RunsReady, vec![start.clone(), nobody.clone(), limit.clone()]),
        (Sql::RunsOverdue, vec![start.clone(), limit.clone()]),
        (Sql::RunsClaimed, vec![Value::Integer(1), limit.clone()]),
        (Sql::RunsOld, vec![start.clone(), nobody.clone(), start.clone(), limit.clone()]),
        (Sql::WaitsDue, vec![Value::Text("p".into()), start.clone(), limit.clone()]),
        (Sql::RunNext, vec![]),
        (Sql::RunsToBegin, vec![start.clone(), limit.clone()]),
        (Sql::RunNextBegin, vec![]),
        (Sql::WaitNext, vec![Value::Text(String::new())]),
        (Sql::PollNext, vec![Value::Text(String::new())]),
        (Sql::PollsDue, vec![Value::Text("nowhere".into()), start.clone(), limit.clone()]),
        (Sql::DeliveriesDue, vec![start.clone(), limit.clone()]),
        (Sql::DeliveriesSending, vec![limit.clone()]),
        (Sql::DeliveriesTo, vec![nowhere.clone(), nowhere.clone(), limit.clone()]),
        (Sql::Hold, vec![nowhere.clone(), nowhere]),
        (
            Sql::RunsLiveOn,
            vec![Value::Text("cd".repeat(4)), Value::Text("cd".repeat(32)), Value::Null, limit.clone()],
        ),
        (Sql::Intents, vec![limit]),
        (Sql::RunChild, vec![nobody.clone()]),
        (Sql::RunEvent, vec![nobody.clone()]),
        (Sql::ConversationRun, vec![nobody]),
        (Sql::ArtifactLinked, vec![Value::Text("ab".into())]),
    ]
}

/// How many steps each sweep takes beside so many runs that wait, and as many that ended and were delivered.
fn steps(rows: u16) -> Vec<(Sql, i32)> {
    let (_directory, path) = file();
    let bare = Bare::open(&path).expect("a new store");
    let fill = |all: &mut dyn Rows| (0..rows).try_for_each(|n| fill(all, n));
    bare.session().transaction(fill).expect("filled");
    let connection = connection::open_reading(&path).expect("there");
    let count = |(sql, values): (Sql, Vec<Value>)| {
        let mut statement = connection.prepare(sql.text()).expect("it is SQL");
        let found = statement.query_map(params_from_iter(values), |_| Ok(())).expect("it runs").count();
        assert!(found < 2, "{sql:?} finds {found} rows");
        (sql, statement.get_status(StatementStatus::VmStep))
    };
    sweeps().into_iter().map(count).collect()
}

fn fill(rows: &mut dyn Rows, n: u16) -> Result<(), StoreError> {
    let now = Timestamp(1_000_000);
    for waits in [true, false] {
        let id = accepted(rows, n, waits, now)?;
        let token = Token(u128::from(n) + 1);
        ops::claim(rows, id, token, now)?;
        let by = By { run: id, token, spent: Purse::default(), link_base: "file:///".into(), now };
        if waits {
            let import = sublane_core::Import::Sleep;
            let due = Some(Timestamp(5_000_000));
            ops::park(
                rows,
                &by,
                Wait { run: id, path: Path::root().then(1), import, args: 1, what: WaitFor::Sleep, due },
            )?;
            ops::evict(rows, &by)?;
            continue;
        }
        let output = Output { value: "1".into(), text: None, artifacts: Vec::new() };
        for delivery in ops::finish(rows, &by, Outcome::Succeeded(output))?.deliveries {
            let delivered = AttemptResult::Delivered { note: String::new() };
            ops::settle(rows, delivery.id, 1, delivered, &SettleRule::default(), now)?;
        }
    }
    Ok(())
}

fn accepted(rows: &mut dyn Rows, n: u16, waits: bool, now: Timestamp) -> Result<RunId, StoreError> {
    let origin: Destination = "console:me".parse().expect("well formed");
    let mut random = [u8::from(waits); 10];
    random[..2].copy_from_slice(&n.to_be_bytes());
    let grants: Grants = serde_json::from_str(
        r#"{"spawn":{"agents":[],"depth":0,"active_children":0},"channels":[],"tools":[],"kv":[],
            "artifacts":false,"caps":{"deadline":9000000,"memory_bytes":1000}}"#,
    )
    .expect("grants in their stored form");
    let spec = RunSpec {
        id: RunId::new(now, random),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([1; 16]),
        origin: origin.clone(),
        plugin: "p".into(),
        agent: "a".into(),
        plugin_digest: "ab".repeat(32),
        name: "run".into(),
        lane: "main".into(),
        priority: Priority::Normal,
        depth: 0,
        input: "1".into(),
        artifacts: Vec::new(),
        grants,
        purse: Purse::default(),
        destinations: vec![origin.clone()],
        created: now,
        dedupe_key: None,
        spawner: "p".into(),
        seed: [0; 32],
        retry: None,
    };
    let purse = Purse { cpu_us: 1_000, spawns: 10, host_calls: 1_000, ..Purse::default() };
    let conversation = NewConversation { id: ConversationId([1; 16]), origin, purse };
    let event = Some(("console".to_owned(), format!("{n} {waits}")));
    let ask = PurseAsk { cpu_us: Share::Exactly(1), ..PurseAsk::default() };
    Ok(ops::accept(rows, Accept { conversation, event, spec: Box::new(spec), ask })?.run)
}

#[test]
fn a_sweep_costs_the_same_beside_many_rows_as_beside_few() {
    let few = steps(10);
    let many = steps(500);
    for ((sql, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many <= few + 8, "{sql:?} takes {few} steps beside 10 rows and {many} beside 500");
    }
}
