//! Every statement that the store runs, in one list.
//!
//! Each is prepared once for each connection. A test reads the query plan of
//! all of them: none walks a table, none sorts, but for the exceptions that
//! are named there.

macro_rules! statements {
    ($($name:ident: $text:expr;)*) => {
        /// A statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Sql { $($name),* }

        impl Sql {
            /// All of them.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            /// The statement's text.
            pub(super) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

/// Columns in the order in which `codec::run` reads them.
macro_rules! run_columns {
    () => {
        "SELECT r.id, r.state, r.token, r.outcome, r.ready_at, r.ended_at, r.generation, r.attempt, r.crashes, r.cpu_us, \
         r.spawns, r.artifact_bytes, r.amounts, r.active_children, r.attached_children, r.since, r.progress, r.progress_note, \
         r.begun, r.retried, r.continued, r.timed_from, s.parent, s.lifetime, s.conversation, s.origin_channel, s.origin_address, s.plugin, s.agent, s.plugin_digest, \
         s.name, s.lane, s.priority, s.depth, s.input, s.artifacts, s.grants, s.given_cpu_us, s.given_spawns, \
         s.given_artifact_bytes, s.given_amounts, s.destinations, s.created, s.dedupe_key, s.spawner, s.seed, s.retry, r.n "
    };
}

/// What every list of runs may be narrowed by, beside what it is found by: the
/// states from ?2 to ?3, conversation ?4, plugin ?5, agent ?6, accepted from ?9 to ?10.
/// The numbers from ?7 to ?8 and the limit ?11 stand with the index. No index is
/// taken for these: the plus signs say so.
macro_rules! run_filter {
    () => {
        "AND +r.state BETWEEN ?2 AND ?3 AND (?4 IS NULL OR +s.conversation = ?4) \
         AND (?5 IS NULL OR +s.plugin = ?5) AND (?6 IS NULL OR +s.agent = ?6) AND +s.created BETWEEN ?9 AND ?10 "
    };
}

/// What every list of deliveries may be narrowed by: the channel ?3, the address ?4,
/// owed from ?7 to ?8. The numbers from ?5 to ?6 and the limit ?9 stand with the index.
macro_rules! delivery_filter {
    () => {
        "AND (?3 IS NULL OR +d.channel = ?3) AND (?4 IS NULL OR +d.address = ?4) \
         AND +d.created BETWEEN ?7 AND ?8 "
    };
}

/// Columns in the order in which `codec::delivery` reads them.
macro_rules! delivery_columns {
    () => {
        "SELECT d.id, r.id, d.conversation, d.channel, d.address, d.body, d.state, d.attempts, d.next_at, d.created, \
         d.since, d.note FROM delivery d CROSS JOIN run r ON r.n = d.run "
    };
}

/// Columns in the order in which `hook::hook` reads them.
macro_rules! hook_columns {
    () => {
        "SELECT h.id, r.id, h.generation, h.token, h.verification, h.created, h.state, h.key, h.called_at, \
         h.media_type, h.verified, h.body "
    };
}

/// Columns in the order in which `poll::poll` reads them.
macro_rules! poll_columns {
    () => {
        "SELECT p.id, r.id, p.place, p.server, p.due, p.made, p.hinted, p.seen, p.rule, p.times "
    };
}

/// Columns in the order in which `codec::conversation` reads them.
macro_rules! conversation_columns {
    () => {
        "SELECT id, channel, address, cpu_us, spawns, artifact_bytes, amounts, ceiling_cpu_us, ceiling_spawns, \
         ceiling_artifact_bytes, ceiling_amounts, created FROM conversation "
    };
}

statements! {
    Begin: "BEGIN IMMEDIATE";
    BeginRead: "BEGIN DEFERRED";
    Commit: "COMMIT";
    Rollback: "ROLLBACK";
    DataVersion: "PRAGMA data_version";
    WalPages: "PRAGMA wal_checkpoint(NOOP)";
    Checkpoint: "PRAGMA wal_checkpoint(PASSIVE)";

    RunInsert: "INSERT INTO run (id, state, token, outcome, ended_at, generation, attempt, crashes, cpu_us, spawns, \
        artifact_bytes, active_children, attached_children, since, progress, progress_note, deadline, attached_to, \
        begun, live_on, amounts, ready_at, timed_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
        ?18, ?19, ?20, ?21, ?22, ?23)";
    SpecInsert: "INSERT INTO run_spec (n, parent, lifetime, conversation, origin_channel, origin_address, plugin, \
        agent, plugin_digest, name, lane, priority, depth, input, artifacts, grants, given_cpu_us, given_spawns, \
        given_artifact_bytes, destinations, created, dedupe_key, spawner, seed, given_amounts, retry) VALUES \
        (last_insert_rowid(), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
        ?20, ?21, ?22, ?23, ?24, ?25)";
    // Three updates, so that each writes only the index entries that it may change.
    RunCounters: "UPDATE run SET generation = ?2, attempt = ?3, crashes = ?4, cpu_us = ?5, spawns = ?6, \
        artifact_bytes = ?7, active_children = ?8, attached_children = ?9, progress = ?10, progress_note = ?11, \
        amounts = ?12 WHERE id = ?1";
    RunStep: "UPDATE run SET generation = ?2, attempt = ?3, crashes = ?4, cpu_us = ?5, spawns = ?6, \
        artifact_bytes = ?7, active_children = ?8, attached_children = ?9, progress = ?10, progress_note = ?11, \
        amounts = ?12, state = ?13, token = ?14, outcome = ?15, ended_at = ?16, since = ?17 WHERE id = ?1";
    RunEnd: "UPDATE run SET generation = ?2, attempt = ?3, crashes = ?4, cpu_us = ?5, spawns = ?6, \
        artifact_bytes = ?7, active_children = ?8, attached_children = ?9, progress = ?10, progress_note = ?11, \
        amounts = ?12, state = ?13, token = ?14, outcome = ?15, ended_at = ?16, since = ?17, deadline = NULL, attached_to = NULL, \
        live_on = NULL WHERE id = ?1";
    // A run in a new generation, and one that lives again.
    RunAgain: "UPDATE run SET begun = ?2, ready_at = ?3, retried = ?4, timed_from = ?5, continued = ?6 WHERE id = ?1";
    RunRenew: "UPDATE run SET deadline = ?2, live_on = ?3 WHERE id = ?1";
    SpecRenew: "UPDATE run_spec SET plugin_digest = ?2, grants = ?3, given_cpu_us = ?4, given_spawns = ?5, \
        given_artifact_bytes = ?6, seed = ?7, given_amounts = ?8 WHERE n = (SELECT n FROM run WHERE id = ?1)";
    SpecContinue: "UPDATE run_spec SET input = ?2, artifacts = ?3 WHERE n = (SELECT n FROM run WHERE id = ?1)";
    JournalForget: "DELETE FROM journal WHERE run = (SELECT n FROM run WHERE id = ?1) AND generation < ?2";
    HooksForget: "DELETE FROM hook WHERE run = (SELECT n FROM run WHERE id = ?1) AND generation < ?2";
    GenerationsForget: "DELETE FROM generation WHERE run = (SELECT n FROM run WHERE id = ?1) AND number < ?2";
    GenerationInsert: "INSERT INTO generation (run, number, past) VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3)";
    Generations: "SELECT number, past FROM generation WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY number";
    GenerationsDelete: "DELETE FROM generation WHERE run = (SELECT n FROM run WHERE id = ?1)";
    Run: concat!(run_columns!(), "FROM run r CROSS JOIN run_spec s ON s.n = r.n WHERE r.id = ?1");
    RunByDedupe: "SELECT r.id FROM run_spec s CROSS JOIN run r ON r.n = s.n \
        WHERE s.conversation = ?1 AND s.spawner = ?2 AND s.dedupe_key = ?3";
    RunsSpawnedBy: "SELECT count(*) FROM run_spec WHERE parent = ?1 AND spawner = ?2";
    RunAttached: "SELECT id FROM run WHERE attached_to = ?1 ORDER BY n";
    RunsAll: concat!(run_columns!(), "FROM run r CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY r.n DESC LIMIT ?11");
    RunsQueued: concat!(run_columns!(), "FROM run r INDEXED BY run_queued CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.state = 0 AND r.since >= 0 AND +r.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY r.since DESC, r.id DESC LIMIT ?11");
    RunsDelayed: concat!(run_columns!(), "FROM run r INDEXED BY run_delayed CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.state = -1 AND r.ready_at >= 0 AND +r.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY r.ready_at, r.n LIMIT ?11");
    RunsActive: concat!(run_columns!(), "FROM run r CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.state BETWEEN 1 AND 4 AND r.state = ?1 AND r.n BETWEEN ?7 AND ?8 ", run_filter!(), "\
        ORDER BY r.n DESC LIMIT ?11");
    RunsOfParent: concat!(run_columns!(), "FROM run_spec s CROSS JOIN run r ON r.n = s.n \
        WHERE s.parent = ?1 AND s.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY s.n DESC LIMIT ?11");
    RunsOfConversation: concat!(run_columns!(), "FROM run_spec s CROSS JOIN run r ON r.n = s.n \
        WHERE s.conversation = ?1 AND s.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY s.n DESC LIMIT ?11");
    RunsOfPlugin: concat!(run_columns!(), "FROM run_spec s CROSS JOIN run r ON r.n = s.n \
        WHERE s.plugin = ?1 AND s.n BETWEEN ?7 AND ?8 ", run_filter!(), "ORDER BY s.n DESC LIMIT ?11");
    RunsLiving: "SELECT r.id FROM run_spec s CROSS JOIN run r ON r.n = s.n \
        WHERE s.conversation = ?1 AND +r.state < 5 ORDER BY s.n LIMIT ?2";
    // Walks the living runs: for people.
    RunsLive: "SELECT s.plugin, s.plugin_digest FROM run r INDEXED BY run_live_on CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.live_on >= ''";
    RunsLiveOn: "SELECT r.id FROM run r INDEXED BY run_live_on CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.live_on = ?1 AND s.plugin_digest = ?2 AND (?3 IS NULL OR +s.plugin = ?3) ORDER BY r.n LIMIT ?4";
    RunLast: "SELECT n, created FROM run_spec WHERE n <= ?1 ORDER BY n DESC LIMIT 1";
    RunNext: "SELECT deadline FROM run WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1";
    RunsOverdue: "SELECT id FROM run WHERE deadline <= ?1 ORDER BY deadline, n LIMIT ?2";
    RunsToBegin: "SELECT id FROM run WHERE state = -1 AND ready_at <= ?1 ORDER BY ready_at, n LIMIT ?2";
    RunNextBegin: "SELECT ready_at FROM run WHERE state = -1 AND ready_at >= 0 ORDER BY ready_at LIMIT 1";
    RunsReady: concat!(run_columns!(), "FROM run r CROSS JOIN run_spec s ON s.n = r.n \
        WHERE r.state = 0 AND (r.since, r.id) > (?1, ?2) ORDER BY r.since, r.id LIMIT ?3");
    RunsClaimed: "SELECT id FROM run WHERE state BETWEEN 1 AND 4 AND state = ?1 ORDER BY n LIMIT ?2";

    EntryInsert: "INSERT INTO journal (run, generation, path, import, args, result, at) \
        VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";
    Entries: "SELECT path, import, args, result, at FROM journal \
        WHERE run = (SELECT n FROM run WHERE id = ?1) AND generation = ?2 ORDER BY path";

    WaitInsert: "INSERT INTO wait (run, path, import, args, what, due, plugin) \
        VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, \
        (SELECT s.plugin FROM run r CROSS JOIN run_spec s ON s.n = r.n WHERE r.id = ?1))";
    WaitTargetInsert: "INSERT OR IGNORE INTO wait_target (target, run) \
        VALUES ((SELECT n FROM run WHERE id = ?1), (SELECT n FROM run WHERE id = ?2))";
    Wait: "SELECT r.id, w.path, w.import, w.args, w.what, w.due FROM run r CROSS JOIN wait w ON w.run = r.n \
        WHERE r.id = ?1";
    WaitDelete: "DELETE FROM wait WHERE run = (SELECT n FROM run WHERE id = ?1)";
    WaitTargetDelete: "DELETE FROM wait_target WHERE target = (SELECT n FROM run WHERE id = ?1) \
        AND run = (SELECT n FROM run WHERE id = ?2)";
    Waiters: "SELECT r.id FROM wait_target t CROSS JOIN run r ON r.n = t.run \
        WHERE t.target = (SELECT n FROM run WHERE id = ?1) ORDER BY t.run";
    WaitNext: "SELECT plugin, due FROM wait WHERE due IS NOT NULL AND plugin > ?1 ORDER BY plugin, due LIMIT 1";
    WaitsDue: "SELECT r.id FROM wait w CROSS JOIN run r ON r.n = w.run WHERE w.plugin = ?1 AND w.due <= ?2 \
        ORDER BY w.due, w.run LIMIT ?3";

    MessagePush: "INSERT INTO message (run, body) VALUES ((SELECT n FROM run WHERE id = ?1), ?2)";
    MessageFirst: "SELECT n, body FROM message WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY n LIMIT 1";
    MessageDelete: "DELETE FROM message WHERE n = ?1";
    MessageCount: "SELECT count(*) FROM message WHERE run = (SELECT n FROM run WHERE id = ?1)";

    HookInsert: "INSERT INTO hook (id, run, generation, token, verification, created, state, key, called_at, \
        media_type, verified, body) \
        VALUES (?1, (SELECT n FROM run WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    HookUpdate: "UPDATE hook SET state = ?2, key = ?3, called_at = ?4, media_type = ?5, verified = ?6, body = ?7 \
        WHERE id = ?1";
    Hook: concat!(hook_columns!(), "FROM hook h CROSS JOIN run r ON r.n = h.run WHERE h.id = ?1");
    HookByToken: concat!(hook_columns!(), "FROM hook h CROSS JOIN run r ON r.n = h.run WHERE h.token = ?1");
    HooksOf: concat!(hook_columns!(), "FROM run r CROSS JOIN hook h ON h.run = r.n WHERE r.id = ?1");
    PollInsert: "INSERT INTO poll (id, run, place, server, due, made, hinted, seen, rule, times) \
        VALUES (?1, (SELECT n FROM run WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    PollUpdate: "UPDATE poll SET due = ?2, made = ?3, hinted = ?4, seen = ?5, rule = ?6, times = ?7 WHERE id = ?1";
    Poll: concat!(poll_columns!(), "FROM poll p CROSS JOIN run r ON r.n = p.run WHERE p.id = ?1");
    PollsOf: concat!(poll_columns!(), "FROM run r CROSS JOIN poll p ON p.run = r.n WHERE r.id = ?1");
    PollsDelete: "DELETE FROM poll WHERE run = (SELECT n FROM run WHERE id = ?1)";
    PollNext: "SELECT server, due FROM poll WHERE server > ?1 ORDER BY server, due LIMIT 1";
    PollsDue: concat!(poll_columns!(), "FROM poll p CROSS JOIN run r ON r.n = p.run \
        WHERE p.server = ?1 AND p.due <= ?2 ORDER BY p.due, p.id LIMIT ?3");
    DeliveryInsert: "INSERT INTO delivery (run, id, conversation, channel, address, body, state, attempts, next_at, \
        created, since, note) VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    DeliveryUpdate: "UPDATE delivery SET attempts = ?2, note = ?3, state = ?4, next_at = ?5, since = ?6 WHERE id = ?1";
    Delivery: concat!(delivery_columns!(), "WHERE d.id = ?1");
    DeliveriesAll: concat!(delivery_columns!(), "WHERE d.n BETWEEN ?5 AND ?6 AND (?2 IS NULL OR +d.state = ?2) ",
        delivery_filter!(), "ORDER BY d.n DESC LIMIT ?9");
    DeliveriesOpen: concat!(delivery_columns!(), "WHERE d.state <> 2 AND d.state = ?2 AND d.n BETWEEN ?5 AND ?6 ",
        delivery_filter!(), "ORDER BY d.n DESC LIMIT ?9");
    DeliveriesOfRun: concat!(delivery_columns!(), "WHERE d.run = (SELECT n FROM run WHERE id = ?1) \
        AND d.n BETWEEN ?5 AND ?6 AND (?2 IS NULL OR +d.state = ?2) ", delivery_filter!(), "\
        ORDER BY d.n DESC LIMIT ?9");
    DeliveryLast: "SELECT n, created FROM delivery WHERE n <= ?1 ORDER BY n DESC LIMIT 1";
    DeliveriesDue: concat!(delivery_columns!(), "WHERE d.state = 0 AND d.next_at <= ?1 \
        ORDER BY d.next_at, d.n LIMIT ?2");
    DeliveriesSending: concat!(delivery_columns!(), "WHERE d.state <> 2 AND d.state = 1 ORDER BY d.n LIMIT ?1");
    DeliveriesCount: "SELECT count(*) FROM delivery WHERE run = (SELECT n FROM run WHERE id = ?1)";
    DeliveriesTo: concat!(delivery_columns!(), "WHERE d.channel = ?1 AND d.address = ?2 AND d.state < 2 \
        ORDER BY d.n LIMIT ?3");
    Hold: "SELECT until, note FROM destination_hold WHERE channel = ?1 AND address = ?2";
    HoldSet: "INSERT INTO destination_hold (channel, address, until, note) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (channel, address) DO UPDATE SET until = excluded.until, note = excluded.note";
    HoldDelete: "DELETE FROM destination_hold WHERE channel = ?1 AND address = ?2";
    AttemptInsert: "INSERT INTO delivery_attempt (delivery, number, at, kind, note, retry_after_ms, ambiguous) \
        VALUES ((SELECT n FROM delivery WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";
    Attempts: "SELECT d.id, a.number, a.at, a.kind, a.note, a.retry_after_ms, a.ambiguous \
        FROM delivery d CROSS JOIN delivery_attempt a ON a.delivery = d.n WHERE d.id = ?1 ORDER BY a.number";

    ConversationAt: concat!(conversation_columns!(), "WHERE channel = ?1 AND address = ?2");
    Conversation: concat!(conversation_columns!(), "WHERE id = ?1");
    Conversations: concat!(conversation_columns!(), "WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
    ConversationInsert: "INSERT INTO conversation (id, channel, address, cpu_us, spawns, artifact_bytes, amounts, \
        ceiling_cpu_us, ceiling_spawns, ceiling_artifact_bytes, ceiling_amounts, created) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    ConversationUpdate: "UPDATE conversation SET cpu_us = ?2, spawns = ?3, artifact_bytes = ?4, amounts = ?5, \
        ceiling_cpu_us = ?6, ceiling_spawns = ?7, ceiling_artifact_bytes = ?8, ceiling_amounts = ?9 WHERE id = ?1";
    Inbox: "SELECT r.id FROM inbox i CROSS JOIN run r ON r.n = i.run WHERE i.source = ?1 AND i.event = ?2";
    InboxInsert: "INSERT INTO inbox (run, source, event) VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3)";

    KvGet: "SELECT value FROM kv WHERE bucket = ?1 AND key = ?2";
    KvSet: "INSERT INTO kv (bucket, key, value) VALUES (?1, ?2, ?3) \
        ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value";
    KvDelete: "DELETE FROM kv WHERE bucket = ?1 AND key = ?2";
    KvBytes: "SELECT bytes FROM kv_bucket WHERE bucket = ?1";
    KvBytesSet: "INSERT INTO kv_bucket (bucket, bytes) VALUES (?1, ?2) \
        ON CONFLICT (bucket) DO UPDATE SET bytes = excluded.bytes";
    KvKeysFrom: "SELECT key FROM kv WHERE bucket = ?1 AND key >= ?2 ORDER BY key LIMIT ?3";
    KvKeysAfter: "SELECT key FROM kv WHERE bucket = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
    ArtifactLink: "INSERT OR IGNORE INTO artifact (run, id, name, media_type, size) \
        VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3, ?4, ?5)";
    Artifacts: "SELECT id, name, media_type, size FROM artifact \
        WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY id LIMIT ?2";
    Artifact: "SELECT id, name, media_type, size FROM artifact \
        WHERE run = (SELECT n FROM run WHERE id = ?1) AND id = ?2";

    LogLast: "SELECT number, total FROM run_log WHERE run = (SELECT n FROM run WHERE id = ?1) \
        ORDER BY number DESC LIMIT 1";
    LogFirst: "SELECT number, total FROM run_log WHERE run = (SELECT n FROM run WHERE id = ?1) \
        ORDER BY number LIMIT ?2";
    LogInsert: "INSERT INTO run_log (run, number, generation, attempt, at, level, plugin, dropped, line, total) \
        VALUES ((SELECT n FROM run WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    LogTrim: "DELETE FROM run_log WHERE run = (SELECT n FROM run WHERE id = ?1) AND number IN \
        (SELECT number FROM run_log WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY number LIMIT ?2)";
    Logs: "SELECT r.id, l.number, l.generation, l.attempt, l.at, l.level, l.plugin, l.dropped, l.line \
        FROM run r CROSS JOIN run_log l ON l.run = r.n WHERE r.id = ?1 AND l.number > ?2 ORDER BY l.number";

    // What is old.
    RunsOld: "SELECT ended_at, id FROM run WHERE state = 5 AND (ended_at, id) > (?1, ?2) AND ended_at <= ?3 \
        ORDER BY ended_at, id LIMIT ?4";
    RunChild: "SELECT n FROM run_spec WHERE parent = ?1 LIMIT 1";
    RunEvent: "SELECT 1 FROM inbox WHERE run = (SELECT n FROM run WHERE id = ?1) LIMIT 1";
    JournalTrim: "DELETE FROM journal WHERE run = (SELECT n FROM run WHERE id = ?1) AND (generation, path) IN \
        (SELECT generation, path FROM journal WHERE run = (SELECT n FROM run WHERE id = ?1) \
        ORDER BY generation DESC, path DESC LIMIT ?2)";
    ArtifactsTrim: "DELETE FROM artifact WHERE run = (SELECT n FROM run WHERE id = ?1) AND id IN \
        (SELECT id FROM artifact WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY id LIMIT ?2)";
    AttemptsDelete: "DELETE FROM delivery_attempt WHERE delivery = (SELECT n FROM delivery WHERE id = ?1)";
    DeliveryDelete: "DELETE FROM delivery WHERE id = ?1";
    MessagesDelete: "DELETE FROM message WHERE run = (SELECT n FROM run WHERE id = ?1)";
    HooksDelete: "DELETE FROM hook WHERE run = (SELECT n FROM run WHERE id = ?1)";
    InboxDelete: "DELETE FROM inbox WHERE run = (SELECT n FROM run WHERE id = ?1)";
    SpecDelete: "DELETE FROM run_spec WHERE n = (SELECT n FROM run WHERE id = ?1)";
    RunDelete: "DELETE FROM run WHERE id = ?1";
    ConversationRun: "SELECT n FROM run_spec WHERE conversation = ?1 LIMIT 1";
    ConversationDelete: "DELETE FROM conversation WHERE id = ?1";
    ArtifactLinked: "SELECT run FROM artifact WHERE id = ?1 LIMIT 1";

    IntentInsert: "INSERT INTO intent (body, created) VALUES (?1, ?2)";
    Intents: "SELECT number, body, created FROM intent WHERE number > 0 ORDER BY number LIMIT ?1";
    IntentDelete: "DELETE FROM intent WHERE number = ?1";
    IntentAnswerPut: "INSERT OR REPLACE INTO intent_answer (number, body) VALUES (?1, ?2)";
    IntentAnswer: "SELECT body FROM intent_answer WHERE number = ?1";
    IntentAnswersDelete: "DELETE FROM intent_answer WHERE number <= ?1";
    LaneSettings: "SELECT name, paused, slots, queue_length FROM lane WHERE name >= '' ORDER BY name";
    Plugins: "SELECT id, version, digest, since FROM plugin WHERE id >= '' ORDER BY id";
    PluginPut: "INSERT OR REPLACE INTO plugin (id, version, digest, since) VALUES (?1, ?2, ?3, ?4)";
    PluginDelete: "DELETE FROM plugin WHERE id = ?1";
    Pauses: "SELECT plugin, failures, until, why FROM plugin_pause WHERE plugin >= '' ORDER BY plugin";
    PausePut: "INSERT OR REPLACE INTO plugin_pause (plugin, failures, until, why) VALUES (?1, ?2, ?3, ?4)";
    Schedules: "SELECT name, rule, decided, fired, run, passed, note FROM schedule WHERE name >= '' ORDER BY name";
    Schedule: "SELECT name, rule, decided, fired, run, passed, note FROM schedule WHERE name = ?1";
    SchedulePut: "INSERT OR REPLACE INTO schedule (name, rule, decided, fired, run, passed, note) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    ScheduleDelete: "DELETE FROM schedule WHERE name = ?1";
    PauseDelete: "DELETE FROM plugin_pause WHERE plugin = ?1";
    LaneSettingPut: "INSERT OR REPLACE INTO lane (name, paused, slots, queue_length) VALUES (?1, ?2, ?3, ?4)";
}
