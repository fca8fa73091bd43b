//! Secrets of a host as a process: where they are read from, and that they are nowhere afterwards.

use std::process::Command;

use serde_json::{Value, json};
use sublane_tests::command::binary;
use sublane_tests::temporary;
use sublane_tests::web::{Answer, Web};

use super::quiet;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_reads_its_secrets_and_forgets_where_they_were() {
    let web = Web::start(|asked| Answer::ok(asked.header("authorization"))).await;
    let directory = temporary();
    let base = directory.path();
    let plugin = base.join("plugin");
    std::fs::create_dir(&plugin).expect("a directory");
    std::fs::copy(sublane_tests::component("spawns"), plugin.join("spawns.wasm")).expect("copied");
    let port = web.port;
    let grants: Vec<String> = ["from-env", "from-file", "from-command"]
        .map(|name| {
            format!(
                r#"{{ name = "{name}", header = "Authorization", audience = "http://127.0.0.1:{port}" }}"#
            )
        })
        .to_vec();
    let asks = format!(
        "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\nhttp = [{{ to = \"http://127.0.0.1:{port}\" }}]\n\
         secrets = [{}]\nrequests = 9\nbytes-out = \"64KiB\"\nbytes-in = \"64KiB\"\n",
        grants.join(", ")
    );
    std::fs::write(plugin.join("plugin.toml"), asks).expect("written");
    std::fs::write(base.join("key"), "value-of-the-file\n").expect("written");
    // The program is given what the host's environment still has.
    let config = r#"
[plugins.spawns]
component = "plugin/spawns.wasm"
allow = "asked"
[http]
allow-private = ["127.0.0.1/32"]
[secrets.from-env]
env = "SUBLANE_TEST_SECRET"
loopback-without-tls = true
[secrets.from-file]
file = "key"
loopback-without-tls = true
[secrets.from-command]
command = ["sh", "-c", "echo ${SUBLANE_TEST_SECRET:-value-of-the-program}"]
loopback-without-tls = true
"#;
    std::fs::write(base.join("sublane.toml"), config).expect("written");
    let ask = |name: &str| json!({ "http": { "url": web.url(), "headers": [["authorization", format!("{{{name}}}")]], "secrets": [name] } });
    let steps = json!([ask("from-env"), ask("from-file"), ask("from-command")]);
    let output = tokio::task::spawn_blocking({
        let base = base.to_owned();
        move || {
            Command::new(binary())
                .current_dir(base)
                .args([
                    "run",
                    "--agent",
                    "spawns/act",
                    "--task",
                    &steps.to_string(),
                    "--json",
                    "--log",
                    "trace",
                ])
                .env("SUBLANE_TEST_SECRET", "value-of-the-variable")
                .output()
                .expect("it runs")
        }
    })
    .await
    .expect("no panic");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let sent: Vec<String> =
        web.asked().iter().map(|asked| asked.header("authorization").to_owned()).collect();
    assert_eq!(sent, ["value-of-the-variable", "value-of-the-file", "value-of-the-program"]);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert!(told.to_string().contains("[secret from-env]"), "{told}");
    for value in sent {
        assert!(!out.contains(&value) && !err.contains(&value), "{value}: {out}\n{err}");
    }
    assert!(!err.contains("stays in the environment"), "{err}");
    let state = std::fs::read(base.join("state/sublane.db")).expect("the store");
    assert!(!state.windows(9).any(|window| window == b"value-of-"), "it is in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_told_without_it() {
    let _web = quiet().await;
    let directory = temporary();
    let base = directory.path();
    for (secret, why) in [
        ("env = \"SUBLANE_NO_SUCH\"", "secret `api` in environment variable `SUBLANE_NO_SUCH` is not there"),
        ("file = \"short\"", "has 5 bytes; it needs at least 8"),
        ("command = [\"false\"]", "the program ended with exit status: 1"),
    ] {
        std::fs::write(base.join("short"), "v4lue").expect("written");
        std::fs::write(base.join("sublane.toml"), format!("[secrets.api]\n{secret}\n")).expect("written");
        let output = Command::new(binary())
            .current_dir(base)
            .args(["run", "--agent", "x/y"])
            .output()
            .expect("it runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(why) && !err.contains("v4lue"), "{err}");
    }
}
