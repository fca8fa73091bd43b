//! What people see, in each style, also when a plugin means harm.

use expect_test::{Expect, expect};
use sublane_core::RunId;
use sublane_core::delivery::ArtifactLink;

use super::*;
use crate::channel::testing::{body, delivery};

/// A console, what it wrote, and shorthands for what happens to it.
struct Scene {
    console: Console,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Scene {
    fn new(style: ConsoleStyle) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        Self { console: Console::new(written.clone(), style).expect("a thread"), written }
    }

    async fn deliver(&self, kind: &str, text: &str, artifacts: &[ArtifactLink]) -> &Self {
        let mut body = body(text);
        body.kind = format!("run.{kind}");
        body.data.artifacts = artifacts.to_vec();
        let result = self.console.deliver(&delivery(7, "console:me", &body)).await;
        assert_eq!(result, AttemptResult::Delivered { note: String::new() });
        self
    }

    fn progress(&self, run: u8, percent: u8, note: &str) -> &Self {
        let name = if run == 1 { "film".to_owned() } else { format!("film-{run}") };
        self.console.progress("me", &RunLabel { run: RunId([run; 16]), name: name.into() }, percent, note);
        self
    }

    /// What was written, with escapes made visible.
    async fn check(&self, expected: Expect) {
        self.console.close().await;
        let written = String::from_utf8(self.written.lock().clone()).expect("is text");
        expected.assert_eq(&written.replace('\u{1b}', "␛").replace('\r', "␍"));
    }
}

fn artifact(name: &str, size: u64) -> ArtifactLink {
    ArtifactLink {
        id: "ab".repeat(32),
        name: name.to_owned(),
        media_type: "video/mp4".to_owned(),
        size,
        url: "file:///state/artifacts/ab/abab.mp4".to_owned(),
    }
}

const COLOURS: ConsoleStyle = ConsoleStyle::Terminal(Colour::On);

#[tokio::test]
async fn plain_lines_are_fit_for_a_file() {
    let scene = Scene::new(ConsoleStyle::Plain);
    scene.deliver("message", "I began.", &[]).await;
    scene.progress(1, 0, "").progress(1, 4, "").progress(1, 12, "").progress(1, 13, "encoding");
    let files = [artifact("sunset.mp4", 1_234_567), artifact("log.txt", 999)];
    scene.deliver("succeeded", "Here it is:\n\na sunset.\n", &files).await;
    scene
        .check(expect![[r"
            film: I began.
            film: 0 %
            film: 12 %
            film: 13 % encoding
            film: Here it is:

              a sunset.
              sunset.mp4 (1.2 MB)
              file:///state/artifacts/ab/abab.mp4
              log.txt (999 B)
              file:///state/artifacts/ab/abab.mp4
        "]])
        .await;
}

#[tokio::test]
async fn a_terminal_has_one_line_of_progress_at_its_end() {
    let scene = Scene::new(COLOURS);
    scene.progress(1, 10, "drawing").progress(2, 5, "").progress(1, 20, "drawing");
    scene.deliver("message", "Half way.", &[]).await;
    scene.deliver("succeeded", "Done.", &[]).await;
    scene
        .check(expect![[r"
            ␛[2mfilm: 10 % drawing␛[0m␍␛[2K␛[2mfilm: 10 % drawing · film-2: 5 %␛[0m␍␛[2K␛[2mfilm-2: 5 % · film: 20 % drawing␛[0m␍␛[2K␛[1mfilm␛[0m: Half way.
            ␛[2mfilm-2: 5 % · film: 20 % drawing␛[0m␍␛[2K␛[1;32mfilm␛[0m: Done.
            ␛[2mfilm-2: 5 %␛[0m␍␛[2K"]])
        .await;
}

#[tokio::test]
async fn a_failure_is_red_and_colours_can_be_off() {
    let scene = Scene::new(COLOURS);
    scene.deliver("timed-out", "Too late.", &[]).await;
    scene
        .check(expect![[r"
            ␛[1;31mfilm␛[0m: Too late.
        "]])
        .await;
    let scene = Scene::new(ConsoleStyle::Terminal(Colour::Off));
    scene.progress(1, 10, "drawing").deliver("failed", "No.", &[]).await;
    scene
        .check(expect![[r"
            film: 10 % drawing␍␛[2Kfilm: No.
        "]])
        .await;
}

#[tokio::test]
async fn the_line_of_progress_stays_one_line() {
    let scene = Scene::new(ConsoleStyle::Terminal(Colour::Off));
    scene.progress(1, 10, &"long ".repeat(40));
    let painted = Painter::new(ConsoleStyle::Terminal(Colour::Off)).progress(
        "me",
        &RunLabel { run: RunId([1; 16]), name: "film".into() },
        10,
        &"映画".repeat(40),
    );
    assert_eq!(painted, format!("film: 10 % {}", "映画".repeat(17)));
    scene
        .check(expect![
            "film: 10 % long long long long long long long long long long long long long lon␍␛[2K"
        ])
        .await;
}

#[tokio::test]
async fn text_of_a_plugin_cannot_steer_the_terminal() {
    let scene = Scene::new(ConsoleStyle::Plain);
    let text = "a\u{1b}[2J\u{9b}31m\u{7}b\r\nc\rd\u{202e}e";
    scene
        .progress(1, 1, "x\ny\u{1b}]0;title\u{7}")
        .deliver("message", text, &[artifact("a\n\u{1b}[1mb", 1)])
        .await;
    scene
        .check(expect![[r#"
            film: 1 % x y�]0;title�
            film: a�[2J�31m�b
              c�d�e
              a �[1mb (1 B)
              file:///state/artifacts/ab/abab.mp4
        "#]])
        .await;
}

#[tokio::test]
async fn json_lines_hold_the_body_as_it_is_stored() {
    let scene = Scene::new(ConsoleStyle::Json);
    scene.progress(1, 50, "half").deliver("message", "a\u{1b}\u{9b}\u{2028}b", &[]).await;
    scene.console.close().await;
    let written = String::from_utf8(scene.written.lock().clone()).expect("is text");
    let lines: Vec<serde_json::Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["event"], &lines[0]["percent"]), (&"progress".into(), &50.into()));
    assert_eq!((&lines[1]["event"], &lines[1]["destination"]), (&"delivery".into(), &"console:me".into()));
    assert_eq!(lines[1]["body"]["data"]["text"], "a\u{1b}\u{9b}\u{2028}b");
    assert!(!written.chars().any(|c| c != '\n' && super::super::is_treacherous(c)));
}

#[tokio::test]
async fn a_sentence_about_a_run_names_it_once() {
    let scene = Scene::new(ConsoleStyle::Plain);
    scene.deliver("failed", "film failed: no ink", &[]).await;
    scene.deliver("succeeded", "filmed", &[]).await;
    scene.deliver("message", "film failed: says who", &[]).await;
    scene
        .check(expect![[r"
            film failed: no ink
            film: filmed
            film: film failed: says who
        "]])
        .await;
}

#[tokio::test]
async fn a_value_that_is_nested_deep_keeps_nobody_from_reading() {
    let deep = |levels| (0..levels).fold(serde_json::Value::Null, |inner, _| serde_json::json!([inner]));
    for style in [ConsoleStyle::Plain, ConsoleStyle::Json] {
        let scene = Scene::new(style);
        let mut body = body("look");
        body.data.value = deep(127);
        let result = scene.console.deliver(&delivery(7, "console:me", &body)).await;
        assert_eq!(result, AttemptResult::Delivered { note: String::new() });
    }
}

#[tokio::test]
async fn a_body_that_is_none_is_given_up() {
    let scene = Scene::new(ConsoleStyle::Plain);
    let mut broken = delivery(1, "console:me", &body(""));
    broken.body = "[]".into();
    assert!(matches!(scene.console.deliver(&broken).await, AttemptResult::Permanent { .. }));
}

#[tokio::test]
async fn a_console_that_fails_is_tried_again() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let console = Console::new(Arc::new(Mutex::new(Full)), ConsoleStyle::Plain).expect("a thread");
    let result = console.deliver(&delivery(1, "console:me", &body("lost"))).await;
    assert!(matches!(result, AttemptResult::Retry { ambiguous: true, .. }), "{result:?}");
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "a terminal that is held up is just that")]
async fn a_console_that_is_held_up_stalls_nobody_and_shows_nothing_twice() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink: Sink = written.clone();
    let console = Console::new(sink, ConsoleStyle::Plain).expect("a thread");
    let film = delivery(1, "console:me", &body("once"));
    {
        // Held, as a terminal is by Ctrl-S.
        let held = written.lock();
        for _ in 0..2 * MAX_WAITING {
            console.progress("me", &RunLabel { run: RunId([9; 16]), name: "other".into() }, 0, "");
        }
        tokio::time::pause();
        let result = console.deliver(&film).await;
        assert!(matches!(result, AttemptResult::Retry { ambiguous: true, .. }), "{result:?}");
        tokio::time::resume();
        drop(held);
    }
    assert_eq!(console.deliver(&film).await, AttemptResult::Delivered { note: String::new() });
    let text = String::from_utf8(written.lock().clone()).expect("is text");
    assert_eq!(text.matches("film: once").count(), 1, "{text}");
}

#[test]
fn sizes_read_as_people_say_them() {
    let said = [0, 999, 1_000, 1_049, 1_050, 999_949, 999_950, 34_560_000, u64::MAX].map(paint::size);
    assert_eq!(
        said,
        ["0 B", "999 B", "1.0 kB", "1.0 kB", "1.1 kB", "999.9 kB", "1.0 MB", "34.6 MB", "18.4 EB"]
    );
}
