//! The agent that uses every import, its children, and its tool.

use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use sublane_sdk::hook::{self, Hook, Verification};
use sublane_sdk::subagent::{self, Child, times};
use sublane_sdk::{
    Error, Failure, Scope, Spawn, agent, artifact, clock, data, delivery, files, http, journal, kv, log,
    mailbox, poll, progress, random, secret, timer, tool, tools, wait,
};

/// What the agent is to do.
#[data]
pub(crate) struct Plan {
    /// Where the changed plugin does otherwise.
    #[serde(default)]
    change: Option<Change>,
}

/// What the changed plugin does otherwise, in the middle of its task.
#[data]
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// Asks for another key.
    OtherArguments,
    /// Asks for something else.
    OtherImport,
    /// Writes a file of the same name and size that says something else.
    OtherContent,
    /// Gives its output.
    Returns,
    /// Fails.
    Fails,
    /// Traps.
    Traps,
    /// Asks for something else where it called a tool.
    NoCall,
    /// Calls the tool, which does half of what it did.
    HalfATool,
}

/// What the agent saw, in order.
struct Seen(Vec<String>);

impl Seen {
    /// Remembers what an import came to.
    fn note(&mut self, what: &str, seen: impl Debug) {
        self.0.push(format!("{what}: {seen:?}"));
    }

    /// Remembers what does not come from an import that is written down.
    fn locals(&mut self) {
        self.note("random", random::number());
        self.note("now", clock::now());
        self.note("deadline", clock::deadline());
        log::info!("saw {} things", self.0.len());
    }
}

/// Uses every import once or more, and gives back what it saw.
#[agent]
pub(crate) fn remember(plan: Plan) -> Result<Vec<String>, Failure> {
    let is_now = |change| crate::IS_CHANGED && plan.change == Some(change);
    let mut seen = Seen(Vec::new());
    seen.locals();
    progress::report(10, "remembering");
    values(&mut seen);
    children(&mut seen)?;
    timer::sleep(Duration::from_millis(40))?;
    seen.locals();
    if is_now(Change::OtherArguments) {
        seen.note("another key", kv::get("memory", "another"));
    } else if is_now(Change::OtherImport) {
        seen.note("keys", kv::list_keys("memory", "", None));
    } else if is_now(Change::Returns) {
        return Ok(seen.0);
    } else if is_now(Change::Fails) {
        return Err(Failure::new("it has had enough"));
    } else if is_now(Change::Traps) {
        panic!("it has had enough");
    } else {
        seen.note("a key", kv::get("memory", "one"));
    }
    file(&mut seen, if is_now(Change::OtherContent) { "trap" } else { "part" })?;
    seen.note("tools", tools::list());
    if is_now(Change::NoCall) {
        seen.note("a key", kv::get("memory", "one"));
    } else {
        called(&mut seen, plan.change)?;
    }
    seen.note("sent", delivery::send("origin", "something to remember"));
    seen.note("mailbox", mailbox::receive_within::<String>(Duration::from_millis(20)));
    shelf(&mut seen);
    asked(&mut seen);
    firsts(&mut seen);
    hooks(&mut seen);
    polls(&mut seen);
    retried(&mut seen);
    seen.note("used", journal::used());
    goes_on(&mut seen);
    seen.locals();
    Ok(seen.0)
}

/// Nobody listens there, and nobody may be asked elsewhere.
fn asked(seen: &mut Seen) {
    seen.note("nobody", http::get("http://127.0.0.1:9/").send());
    seen.note("denied", http::get("http://127.0.0.1:10/").send());
    seen.note("to be undone", http::post("http://127.0.0.1:10/").undo());
    seen.note("secret", secret::placeholder("elsewhere"));
}

/// A time that comes, a time that has passed, and a child that waits for a message as well.
fn firsts(seen: &mut Seen) {
    seen.note("until", timer::until(clock::now() + Duration::from_millis(15)));
    let third = begin("third");
    let Ok(third) = third else { return seen.note("not spawned", third) };
    let soon = Duration::from_millis(25);
    seen.note("time", wait::for_any_of(&[&third]).or_a_message().or_at_most(soon).first());
    seen.note("told", third.send("go on"));
    seen.note("ended", wait::for_a_message().or_all_of(&[&third]).first());
    seen.note("tie", wait::until(clock::now()).or_any_of(&[&third]).first());
}

/// A poll that nobody may make, and one whose time is up before it is made.
fn polls(seen: &mut Seen) {
    let asking = |url| poll::asking(http::get(url)).done_when(poll::answer());
    seen.note("denied", asking("http://127.0.0.1:10/").until_it_ends());
    let short = Duration::from_millis(15);
    seen.note("timed out", asking("http://127.0.0.1:9/").for_at_most(short).until_it_ends());
    let either = asking("http://127.0.0.1:9/").for_at_most(short);
    seen.note("first", wait::for_a_message().or_polled(either).first());
}

/// There is no door: what is random would be in no two lives the same.
fn hooks(seen: &mut Seen) {
    seen.note("no door", Hook::open(Verification::Nobody));
    let nobody = "AAAACSfABwcHBwcHBwcHBw";
    seen.note("no hook", hook::wait_within(nobody, Duration::from_millis(5)));
    seen.note("no hook", hook::close(nobody));
}

/// What can be done twice without a difference; moving and removing can not.
fn shelf(seen: &mut Seen) {
    seen.note("directory", files::create_dir("shelf", &["a"]));
    seen.note("written", files::write("shelf", &["a", "b"], 0, &random::bytes::<4>()));
    seen.note("cut", files::set_size("shelf", &["a", "b"], 2));
    seen.note("read", files::read("shelf", &["a", "b"], 0, 9));
    seen.note("listed", files::list("shelf", &["a"], None));
    seen.note("size", files::stat("shelf", &["nothing"]).map(|stat| stat.size));
    seen.note("moved", files::rename("elsewhere", &["a"], &["c"]));
    seen.note("removed", files::remove("elsewhere", &["c"]));
    seen.note("changed", kv::when("memory", "one").is(b"1").set(b"2"));
    seen.note("not changed", kv::when("memory", "one").is_absent().set(b"3"));
}

fn values(seen: &mut Seen) {
    seen.note("set", kv::set("memory", "one", b"1"));
    seen.note("set", kv::set("memory", "two", &random::bytes::<4>()));
    seen.note("get", kv::get("memory", "two"));
    seen.note("keys", kv::list_keys("memory", "", None));
    seen.note("deleted", kv::delete("memory", "two"));
    seen.note("gone", kv::get("memory", "two"));
    seen.note("denied", kv::get("elsewhere", "one"));
}

fn children(seen: &mut Seen) -> Result<(), Error> {
    let first = begin("first")?;
    seen.note("spawned", &first);
    seen.note("in vain", first.wait_within(Duration::from_millis(30)));
    seen.note("told", first.send("go on"));
    seen.note("ended", first.wait());
    let second = begin("second")?;
    seen.note("cancelled", second.cancel("no longer needed"));
    seen.note("ended", subagent::wait_all(&[&first, &second]));
    seen.note("status", first.status());
    Ok(())
}

fn begin(name: &str) -> Result<Child, Error> {
    let scope = Scope::new().cpu(Duration::from_secs(1)).kv_read("memory", "");
    Spawn::agent("remembers/child").task(name).named(name).scope(scope).start()
}

/// A child that fails and begins again, and one that may not so often.
fn retried(seen: &mut Seen) {
    let scope = Scope::new().cpu(Duration::from_secs(1)).kv_write("memory", "");
    let stubborn = Spawn::agent("remembers/stubborn").scope(scope);
    let fourth = stubborn.clone().named("fourth").retry(times(2).after(Duration::from_secs(1))).start();
    let Ok(fourth) = fourth else { return seen.note("not spawned", fourth) };
    seen.note("ended", fourth.wait());
    seen.note("refused", stubborn.named("no one").retry(times(21)).start());
}

/// A child that goes on as new, twice, and has a child of its own meanwhile.
fn goes_on(seen: &mut Seen) {
    let scope = Scope::new().cpu(Duration::from_secs(1)).kv_read("memory", "");
    let fifth = Spawn::agent("remembers/again").task(0).named("fifth").scope(scope).start();
    let Ok(fifth) = fifth else { return seen.note("not spawned", fifth) };
    seen.note("ended", fifth.wait());
}

fn file(seen: &mut Seen, word: &str) -> Result<(), Failure> {
    let mut file = artifact::create("memory.txt", "text/plain")?;
    for part in 0..3 {
        writeln!(file, "{word} {part}: {}", random::number())
            .map_err(|error| Failure::new(error.to_string()))?;
    }
    let file = file.finish()?;
    seen.note("written", &file);
    let mut text = String::new();
    artifact::open(&file.id)?.read_to_string(&mut text).map_err(|error| Failure::new(error.to_string()))?;
    seen.note("read", text);
    seen.note("not ours", artifact::open(&"0".repeat(64)).err());
    Ok(())
}

/// What the tool is asked.
#[data]
pub(crate) struct Note {
    change: Option<Change>,
}

/// What the tool did.
#[data]
#[derive(Debug)]
pub(crate) struct Noted {
    run: String,
    seen: Vec<String>,
}

fn called(seen: &mut Seen, change: Option<Change>) -> Result<(), Failure> {
    let note = Note { change };
    let noted: Noted =
        tools::call("remembers", "note", &note).map_err(|error| Failure::new(error.to_string()))?;
    seen.note("noted", &noted);
    seen.note("sent on", subagent::send(&noted.run, "go on"));
    seen.note("ended", subagent::wait_any(&[&noted.run]));
    seen.note("children", subagent::children());
    Ok(())
}

/// Writes a note, and has a child that outlives the call.
#[tool]
pub(crate) fn note(note: Note) -> Result<Noted, Failure> {
    let mut seen = Seen(Vec::new());
    seen.locals();
    seen.note("set", kv::set("memory", "note", &random::bytes::<4>()));
    let scope = Scope::new().cpu(Duration::from_secs(1));
    let child = Spawn::agent("remembers/child").task("noted").named("noted").scope(scope).start()?;
    seen.note("spawned", &child);
    if !(crate::IS_CHANGED && note.change == Some(Change::HalfATool)) {
        seen.note("get", kv::get("memory", "note"));
    }
    seen.locals();
    Ok(Noted { run: child.run, seen: seen.0 })
}

/// Fails when it tries first, and leaves word of it for the next time.
#[agent]
pub(crate) fn stubborn() -> Result<Vec<String>, Failure> {
    let mut seen = Seen(Vec::new());
    seen.locals();
    timer::sleep(Duration::from_millis(10))?;
    let is_first = kv::when("memory", "tried").is_absent().set(&random::bytes::<4>())?;
    seen.note("tried", kv::get("memory", "tried"));
    seen.locals();
    if is_first { Err(Failure::new("it never works at first")) } else { Ok(seen.0) }
}

/// Goes on as new until it is the third time.
#[agent]
pub(crate) fn again(times: u32) -> Result<Vec<String>, Failure> {
    let mut seen = Seen(vec![times.to_string()]);
    seen.locals();
    timer::sleep(Duration::from_millis(10))?;
    seen.note("used", journal::used());
    seen.note("refused", journal::continue_as_new("many"));
    seen.locals();
    if times < 2 {
        match journal::continue_as_new(times + 1)? {}
    }
    Ok(seen.0)
}

/// Waits for a message, sleeps, and gives back what it saw.
#[agent]
pub(crate) fn child(name: String) -> Result<Vec<String>, Failure> {
    let mut seen = Seen(vec![name]);
    seen.note("message", mailbox::receive::<String>());
    seen.locals();
    timer::sleep(Duration::from_millis(10))?;
    seen.note("read", kv::get("memory", "one"));
    seen.locals();
    Ok(seen.0)
}
