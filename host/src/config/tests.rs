//! Configurations that are right, and what people read of those that are not.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;

const EXAMPLE: &str = include_str!("../../../sublane.example.toml");

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(Path::new("etc/sublane.toml"), text)
}

fn check(text: &str, expected: &Expect) {
    let answer = match parse(text) {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => problems.to_string().replace("etc/sublane.toml:", ""),
    };
    expected.assert_eq(&answer);
}

#[test]
fn the_example_is_read() {
    let config = parse(EXAMPLE).expect("the example is right");
    let Allow::These(video) = &config.plugins["video"].allow else { panic!("it lists what it allows") };
    assert_eq!(video.purse.cpu_us, 120_000_000);
    assert_eq!(config.plugins["video"].component, Path::new("etc/plugins/video/video.wasm"));
    let ChannelKind::Webhook { addresses } = &config.channels["webhook"].kind else { panic!("a webhook") };
    assert_eq!(addresses["films"].attempt_timeout, Duration::from_secs(15));
    let agent = config.channels["console"].agent.as_ref().expect("somebody answers");
    assert_eq!((agent.plugin.as_str(), agent.agent.as_deref()), ("concierge", None));
}

/// What the example shows as a default is one: without its plugins, directories and
/// channels it says what an empty file says.
#[test]
fn the_example_shows_the_defaults() {
    let mut example = parse(EXAMPLE).expect("the example is right");
    example.plugins.clear();
    example.channels.clear();
    example.files.clear();
    example.secrets.clear();
    example.schedules.clear();
    let empty = parse("").expect("an empty file is enough");
    assert_eq!(format!("{example:#?}"), format!("{empty:#?}"));
}

/// Every line of the example that is commented out is right as well.
#[test]
fn what_the_example_leaves_out_can_be_put_in() {
    let on: Vec<&str> = EXAMPLE.lines().map(uncomment).collect();
    assert!(on.iter().zip(EXAMPLE.lines()).filter(|(on, line)| *on != line).count() >= 3);
    let text = on.join("\n").replace("token = \"\"", "token = \"secret\"");
    let config = parse(&text).expect("the example is right with everything in it");
    assert!(config.gateway.listen.is_some());
}

/// A line without the `# ` before its key; prose stays as it is.
fn uncomment(line: &str) -> &str {
    let key = |rest: &&str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    line.strip_prefix("# ").filter(key).unwrap_or(line)
}

#[test]
fn what_bounds_instances_compiling_and_messages_is_read() {
    let limits = "instances-small = 50\ninstances-per-plugin = 20\nmemory = '64MiB'\ncomponent = '1MiB'\n\
                  compile-memory = '1GiB'\ncompile-cpu = '30s'\ncompile-time = '1m'\nfree-disk = '0KiB'";
    let purse = "[limits.conversation]\ncpu = '1h'\nspawns = 10\nartifacts = '1MiB'\nhost-calls = 9";
    let read = parse(&format!("[limits]\n{limits}\n{purse}")).expect("it is right").limits;
    let asked = read.instances;
    assert_eq!((asked.small, asked.large, asked.per_plugin), (Some(50), None, Some(20)));
    assert_eq!((asked.memory_bytes, read.free_disk_bytes), (Some(64 << 20), 0));
    let compile = read.compile;
    assert_eq!((compile.component_bytes, compile.memory_bytes), (1 << 20, 1 << 30));
    assert_eq!((compile.cpu, compile.time), (Duration::from_secs(30), Duration::from_secs(60)));
    let purse = read.conversation;
    assert_eq!((purse.cpu_us, purse.spawns, purse.artifact_bytes), (3_600_000_000, 10, 1 << 20));
    assert_eq!((purse.host_calls, purse.tokens), (9, conversation_purse().tokens));
    check(
        "[limits]\nmemory = '2GiB'\ncomponent = '1GiB'\ncompile-cpu = '0s'\ninstances-per-plugin = 4\n\
         free-disk = 256\n[limits.conversation]\nspawns = 0\ncpus = '1s'",
        &expect![[r#"
            2: `limits.memory` must be from 4MiB to 1GiB, not "2GiB"
            3: `limits.component` must be from 1KiB to 256MiB, not "1GiB"
            4: `limits.compile-cpu` must be from 1s to 1h, not "0s"
            5: `limits.instances-per-plugin` must be a whole number from 5 to 10000, not 4
            6: `limits.free-disk` must be a size such as "64MiB": a whole number and one of the units KiB, MiB, GiB, not 256
            8: `limits.conversation.spawns` must be a whole number from 1 to 4294967295, not 0
            9: unknown key `cpus` in [limits.conversation]; did you mean `cpu`?"#]],
    );
}

#[test]
fn slips_are_told_with_line_key_and_what_was_meant() {
    check(
        "stat = 'x'\n[gatway]\nauth = 'none'\n[lanes.subagent]\nslot = 3\n[limits]\ndepth = 9\nhotwindow = '1s'",
        &expect![[r#"
            1: unknown key `stat`; did you mean `state`?
            2: unknown key `gatway`; did you mean `gateway`?
            5: unknown key `slot` in [lanes.subagent]; did you mean `slots`?
            7: `limits.depth` must be a whole number from 1 to 5, not 9
            8: unknown key `hotwindow` in [limits]; did you mean `hot-window`?"#]],
    );
    check(
        "state = ''\n[lanes.Fast]\nslots = 0\n[logs]\nformat = 'xml'",
        &expect![[r#"
        1: `state` must be a path, not ""
        2: `lanes`: `Fast` must be a name of 1 to 64 letters a-z, digits and `-` that begins with a letter
        5: `logs.format` must be "human" or "json", not "xml""#]],
    );
    check(
        "[limits]\ninstances-small = 4\ncrashes = 0\n[lanes.main]\ntimeout = '4000d'",
        &expect![[r#"
        2: `limits.instances-small` must be a whole number from 5 to 10000, not 4
        3: `limits.crashes` must be a whole number from 1 to 100, not 0
        5: `lanes.main.timeout` must be from 1s to 3660d, not "4000d""#]],
    );
    check(
        "lanes = 5\nplugins = []\n[channels]\nconsole = 'console'",
        &expect![[r#"
        1: `lanes` must be a table, not 5
        2: `plugins` must be a table, not a list
        4: `channels.console` must be a table, not "console""#]],
    );
}

#[test]
fn a_plugin_that_is_wrong_is_told_where() {
    check(
        "[plugins.video]\ncomponnet = 'x'\nallow = 'all'\n[plugins.Notes]\ncomponent = 'y'",
        &expect![[r#"
            1: missing key `component` in [plugins.video]
            2: unknown key `componnet` in [plugins.video]; did you mean `component`?
            3: `plugins.video.allow` must be "asked", or a table in the form of [asks] in plugin.toml, not "all"
            4: `plugins`: `Notes` must be a name of 1 to 64 letters a-z, digits and `-` that begins with a letter"#]],
    );
    check(
        "[plugins.video]\ncomponent = 'x'\n[plugins.video.allow]\nchanels = []\nspawn = { agents = ['video/*'], total = 0 }",
        &expect![[r#"
            4: unknown key `chanels` in [plugins.video.allow]; did you mean `channels`?
            5: `plugins.video.allow.spawn.total` must be a whole number from 1 to 1000000, not 0"#]],
    );
}

#[test]
fn what_is_allowed_has_to_be_there() {
    check(
        r#"
[plugins.video]
component = "x"
[plugins.video.allow]
spawn = { agents = ["vidoe/render"] }
tools = [{ plugin = "other" }]
channels = ["origin", "console:anybody", "webhok:films", "webhook:film"]
[channels.console]
kind = "console"
agent = "concierge/concierge"
[channels.webhook]
kind = "webhook"
addresses.films = { url = "https://example.org/", secret = { env = "S" } }
"#,
        &expect![[r#"
            5: `plugins.video.allow.spawn.agents`: there is no plugin `vidoe`; did you mean `video`?
            6: `plugins.video.allow.tools.plugin`: there is no plugin `other`; there is only `video`
            7: `plugins.video.allow.channels`: there is no channel `webhok`; did you mean `webhook`?
            7: `plugins.video.allow.channels`: channel `webhook` has no address `film`; did you mean `films`?
            10: `channels.console.agent`: there is no plugin `concierge`; there is only `video`"#]],
    );
}

#[test]
fn a_channel_that_is_wrong_is_told_where() {
    check(
        "[channels.a]\nkind = 'slack'\n[channels.b]\nagent = 'x'\n[channels.c]\nkind = 'console'\naddresses = {}\n[channels.d]\nkind = 'webhook'\nagent = 'x'",
        &expect![[r#"
            2: `channels.a.kind` must be "console" or "webhook" or "file", not "slack"
            3: missing key `kind` in [channels.b]
            7: unknown key `addresses` in [channels.c]; there is `kind` and `agent`
            10: unknown key `agent` in [channels.d]; there is `kind` and `addresses`"#]],
    );
    check(
        r#"
[channels.hook]
kind = "webhook"
[channels.hook.addresses.films]
url = "example.org/hook"
secret = "whsec_c2VjcmV0"
timeout = "1h"
[channels.hook.addresses.other]
url = "ftp://example.org"
secret = { env = "A", file = "b" }
[channels.hook.addresses.third]
secret = { env = "A=B" }
plain-http = true
"#,
        &expect![[r#"
            5: `channels.hook.addresses.films.url` must be a URL such as "https://example.org/hook", not "example.org/hook"
            6: `channels.hook.addresses.films.secret` must not stand in this file; say where it is: { env = "NAME" } or { file = "path" }
            7: `channels.hook.addresses.films.timeout` must be from 100ms to 5m, not "1h"
            9: `channels.hook.addresses.other.url` must be a URL such as "https://example.org/hook", not "ftp://example.org"
            10: `channels.hook.addresses.other.secret` must be one of { env = "NAME" } or { file = "path" }
            11: missing key `url` in [channels.hook.addresses.third]
            12: `channels.hook.addresses.third.secret.env` must be the name of an environment variable
            13: `channels.hook.addresses.third.plain-http` must be "loopback" or "anywhere", not true"#]],
    );
}

#[test]
fn a_receiver_says_how_much_text_it_takes() {
    use sublane_core::delivery::TextRule;
    let rule = |keys: &str| {
        let text = format!(
            "[channels.hook]\nkind = 'webhook'\n[channels.hook.addresses.films]\n\
             url = 'https://example.org/'\nsecret = {{ env = 'S' }}\n{keys}"
        );
        parse(&text).map(|config| match &config.channels["hook"].kind {
            ChannelKind::Webhook { addresses } => addresses["films"].rule.text,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(rule("").ok(), Some(TextRule::Whole));
    assert_eq!(rule("max-text = 4000").ok(), Some(TextRule::Split(4_000)));
    assert_eq!(rule("max-text = 4000\nlong-text = 'split'").ok(), Some(TextRule::Split(4_000)));
    assert_eq!(rule("max-text = 4000\nlong-text = 'shorten'").ok(), Some(TextRule::Shorten(4_000)));
    let wrong =
        |keys: &str| rule(keys).expect_err("it is wrong").to_string().replace("etc/sublane.toml:", "");
    expect![[
        r#"6: `channels.hook.addresses.films.max-text` must be a whole number from 200 to 1000000, not 10"#
    ]]
    .assert_eq(&wrong("max-text = 10"));
    expect![[r#"6: `channels.hook.addresses.films.long-text` needs `max-text` beside it: how many characters are too many"#]]
        .assert_eq(&wrong("long-text = 'shorten'"));
    expect![[r#"7: `channels.hook.addresses.films.long-text` must be "split" or "shorten", not "drop""#]]
        .assert_eq(&wrong("max-text = 4000\nlong-text = 'drop'"));
}

#[test]
fn a_folder_is_read_and_what_is_wrong_with_it_is_told() {
    let config = parse("[channels.out]\nkind = 'file'\naddresses.films = { directory = 'films' }");
    let ChannelKind::File { addresses } = &config.expect("it is right").channels["out"].kind else {
        panic!("files")
    };
    assert_eq!(addresses["films"], crate::channel::Folder::new("etc/films"));
    check(
        r#"
[channels.out]
kind = "file"
agent = "x"
[channels.out.addresses.films]
create = "yes"
[channels.out.addresses."../etc"]
directory = "etc"
[channels.out.addresses.other]
directory = ""
give-up-after = "1s"
"#,
        &expect![[r#"
            4: unknown key `agent` in [channels.out]; there is `kind` and `addresses`
            5: missing key `directory` in [channels.out.addresses.films]
            6: `channels.out.addresses.films.create` must be true or false, not "yes"
            7: `channels.out.addresses`: `../etc` must be a name of 1 to 64 letters a-z, digits and `-` that begins with a letter
            10: `channels.out.addresses.other.directory` must be a path, not ""
            11: `channels.out.addresses.other.give-up-after` must be from 1m to 30d, not "1s""#]],
    );
}

#[test]
fn the_gateway_neither_shuts_everybody_out_nor_lets_everybody_in() {
    check("[gateway]\nauth = 'token'\ntoken = ''", &expect!["accepted"]);
    check("[gateway]\nauth = 'none'\ntoken = ''", &expect!["accepted"]);
    check(
        "[gateway]\nauth = 'none'\ntoken = 'x'",
        &expect![[r#"3: `gateway.token` is not asked for with `auth = "none"`; remove one of the two"#]],
    );
    check(
        "[gateway]\nauth = 'password'\ntoken = { var = 'x' }\nlisten = 'localhost'",
        &expect![[r#"
        2: `gateway.auth` must be "token" or "none", not "password"
        3: unknown key `var` in [gateway.token]; there is `env` and `file`
        3: `gateway.token` must be one of { env = "NAME" } or { file = "path" }
        4: `gateway.listen` must be an address and a port such as "127.0.0.1:7070", not "localhost""#]],
    );
    check(
        "[gateway]\ntoken = 1234",
        &expect![[
            r#"2: `gateway.token` must be a text in quotes, or { env = "NAME" } or { file = "path" }"#
        ]],
    );
    check(
        "[gateway]\nlisten = '127.0.0.1:7070'",
        &expect!["2: `gateway.listen` needs a `token` that is not empty, or nobody could come in"],
    );
    check(
        "[gateway]\nauth = 'none'\nlisten = '0.0.0.0:7070'",
        &expect![[
            r#"3: `gateway.listen` with `auth = "none"` must be a loopback address such as "127.0.0.1:7070", not "0.0.0.0:7070""#
        ]],
    );
    check("[gateway]\nauth = 'none'\nlisten = '[::1]:7070'", &expect!["accepted"]);
    check("[gateway]\ntoken = { file = 'token' }\nlisten = '0.0.0.0:7070'", &expect!["accepted"]);
}

#[test]
fn a_schedule_that_is_wrong_is_told_where() {
    let right = parse(
        "[plugins.video]\ncomponent = 'x'\n[channels.console]\nkind = 'console'\n\
         [schedules.nightly]\ncron = '30 3 * * *'\nzone = 'Europe/Berlin'\nagent = 'video/render'\n\
         task = '{\"n\": 1}'\ndeliver = ['console:ops']\nmissed = 'skip'",
    );
    let schedule = &right.expect("it is right").schedules["nightly"];
    assert_eq!(schedule.rule.to_string(), "30 3 * * * Europe/Berlin");
    assert_eq!((schedule.agent.as_str(), schedule.deliver.len()), ("video/render", 1));
    check(
        r#"
[plugins.video]
component = "x"
[channels.console]
kind = "console"
[schedules.a]
cron = "30 25 * * *"
zone = "Europe/Atlantis"
agent = "vidoe/render"
deliver = ["consol:ops"]
missed = "twice"
task = "{"
[schedules.b]
cron = "0 0 30 2 *"
agent = "video"
[schedules.c]
every = "1h"
"#,
        &expect![[r#"
            7: `schedules.a.cron`: `30 25 * * *` is no cron expression of five fields: Component error: Number out of bounds
            8: `schedules.a.zone`: there is no time zone `Europe/Atlantis`; zones are named as in "Europe/Berlin", and "UTC"
            9: `schedules.a.agent`: there is no plugin `vidoe`; did you mean `video`?
            10: `schedules.a.deliver`: there is no channel `consol`; did you mean `console`?
            11: `schedules.a.missed` must be "once" or "skip", not "twice"
            12: `schedules.a.task` is not JSON: EOF while parsing an object at line 1 column 1
            13: missing key `deliver` in [schedules.b]
            14: `schedules.b.cron`: `0 0 30 2 *` never comes
            16: missing key `cron` in [schedules.c]
            16: missing key `agent` in [schedules.c]
            16: missing key `deliver` in [schedules.c]
            17: unknown key `every` in [schedules.c]; there is `cron`, `zone`, `agent`, `task`, `deliver` and `missed`"#]],
    );
}

#[test]
fn a_door_for_hooks_is_read_and_what_is_wrong_with_it_is_told() {
    let config = parse("[hooks]\nlisten = '127.0.0.1:8787'\npublic-url = 'https://example.org/a'");
    let hooks = config.expect("it is right").hooks;
    assert_eq!(hooks.listen.map(|at| at.port()), Some(8787));
    assert_eq!(hooks.public_url.as_deref(), Some("https://example.org/a"));
    assert_eq!(parse("[hooks]").expect("it is right").hooks, HooksConfig::default());
    check(
        "[hooks]\npublic-url = 'https://example.org'",
        &expect!["2: `hooks.public-url` needs `listen` beside it, or nobody is behind it"],
    );
    check(
        "[hooks]\nlisten = 'localhost'\npublic-url = 'ftp://example.org'\ntoken = 'x'",
        &expect![[r#"
            2: `hooks.listen` must be an address and a port such as "127.0.0.1:8787", not "localhost"
            3: `hooks.public-url` must be a URL without a query such as "https://example.org", not "ftp://example.org"
            4: unknown key `token` in [hooks]; there is `listen` and `public-url`"#]],
    );
}

#[test]
fn how_fast_polls_come_is_read_and_what_is_wrong_with_it_is_told() {
    let polls = parse("[polls]\nat-once = 10\nrate = 1").expect("it is right").polls;
    assert_eq!(polls, Pace { at_once: 10, per_server: 8, rate: 1 });
    check(
        "[polls]\nat-once = 0\nper-server = 1001\nrate = '5/s'\nat-one = 1",
        &expect![[r#"
            2: `polls.at-once` must be a whole number from 1 to 10000, not 0
            3: `polls.per-server` must be a whole number from 1 to 1000, not 1001
            4: `polls.rate` must be a whole number from 1 to 100000, not "5/s"
            5: unknown key `at-one` in [polls]; did you mean `at-once`?"#]],
    );
}

#[test]
fn a_token_is_not_shown() {
    let config = parse("[gateway]\ntoken = 'very secret'").expect("a literal token is allowed");
    assert!(!format!("{config:?}").contains("very secret"));
}

#[test]
fn what_may_be_reached_and_carried_is_read_and_what_is_wrong_with_it_is_told() {
    let config = parse(
        "[http]\nallow-private = ['127.0.0.1/32', 'fd00::/8']\nca-file = 'ca.pem'\n\
         [secrets.api]\ncommand = ['pass', 'show', 'api']\nloopback-without-tls = true",
    )
    .expect("it is right");
    assert_eq!(config.http.allow_private.len(), 2);
    assert_eq!(config.http.ca_file.as_deref(), Some(Path::new("etc/ca.pem")));
    assert!(config.secrets["api"].loopback_without_tls);
    check(
        r#"
[http]
allow-private = ["127.0.0.1", "10.1.2.3/8"]
[secrets]
literal = "very secret"
[secrets.two]
env = "A"
file = "b"
[secrets.none]
[secrets.empty]
command = []
[secrets.name]
env = "A=B"
loopback-without-tls = "yes"
[plugins.x]
component = "x.wasm"
allow = { secrets = [{ name = "too", header = "authorization", audience = "https://a.b" }] }
"#,
        &expect![[r#"
            3: each of `http.allow-private` must be a network such as "127.0.0.1/32" or "fd00::/8", not "127.0.0.1"
            3: each of `http.allow-private` must be a network such as "127.0.0.1/32" or "fd00::/8", not "10.1.2.3/8"
            5: `secrets.literal` must not stand in this file; say where it is: env, file or command in [secrets.literal]
            6: [secrets.two] needs one of `env`, `file` and `command`
            9: [secrets.none] needs one of `env`, `file` and `command`
            11: `secrets.empty.command` must name a program, and its arguments behind it
            13: `secrets.name.env` must be the name of an environment variable
            14: `secrets.name.loopback-without-tls` must be true or false, not "yes"
            17: `plugins.x.allow.secrets.name`: there is no secret `too`; did you mean `two`?"#]],
    );
}
