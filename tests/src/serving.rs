//! `sublane serve` in a process of its own: what is said to it, what it delivers, what it logs, how it ends.
//!
//! Owns the process: dropped, it is killed.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::command::binary;

/// A host that serves, with a console that is a pipe.
pub struct Serving {
    child: Child,
    input: Option<ChildStdin>,
    out: watch::Receiver<Vec<String>>,
    log: watch::Receiver<Vec<String>>,
}

/// How it ended, and what it left behind.
#[derive(Debug)]
pub struct Served {
    /// The exit code. `None`: a signal killed it.
    pub exit: Option<i32>,
    /// Ids and bodies of what it delivered to the console, in order.
    pub delivered: Vec<(String, String)>,
    /// The standard error.
    pub log: String,
}

impl Serving {
    /// Starts it with this configuration, in which a console channel is answered.
    ///
    /// # Panics
    /// When the process cannot be started.
    #[must_use]
    pub fn start(config: &Path) -> Self {
        Self::start_by(Command::new(binary()), config)
    }

    /// As [`Self::start`], by a command that becomes the one that its last arguments are.
    ///
    /// # Panics
    /// When the process cannot be started.
    #[must_use]
    pub fn start_by(mut command: Command, config: &Path) -> Self {
        command.arg("--config").arg(config).args(["--json", "--log", "info", "serve", "--console"]);
        command.env("USER", "ada").env_remove("RUST_LOG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the process starts");
        let out = lines(child.stdout.take().expect("its output is ours"));
        let log = lines(child.stderr.take().expect("its log is ours"));
        Self { input: child.stdin.take(), child, out, log }
    }

    /// As soon as it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn ready(mut self) -> Self {
        let ready = |log: &Vec<String>| log.iter().any(|line| line.contains("ready"));
        let became = timeout(PATIENCE, self.log.wait_for(ready)).await.is_ok_and(|became| became.is_ok());
        assert!(became, "it does not become ready: {:?}", self.log.borrow());
        self
    }

    /// Says a line on the console.
    ///
    /// # Panics
    /// When it listens no more.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input is ours"), "{line}").expect("it listens");
    }

    /// Waits until it has delivered as it should.
    ///
    /// # Panics
    /// When it does not.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&[(String, String)]) -> bool) {
        let enough = timeout(PATIENCE, self.out.wait_for(|lines| holds(&delivered(lines)))).await;
        let is_so = enough.is_ok_and(|waited| waited.is_ok());
        assert!(is_so, "waited in vain: {what}: {:?} {:?}", self.out.borrow(), self.log.borrow());
    }

    /// Waits until its log has a line with this.
    ///
    /// # Panics
    /// When it has none.
    pub async fn logs(&mut self, words: &str) {
        let has = |log: &Vec<String>| log.iter().any(|line| line.contains(words));
        let logged = timeout(PATIENCE, self.log.wait_for(has)).await.is_ok_and(|waited| waited.is_ok());
        assert!(logged, "waited in vain: {words}: {:?}", self.log.borrow());
    }

    /// How many lines of its log have this.
    #[must_use]
    pub fn logged(&self, words: &str) -> usize {
        self.log.borrow().iter().filter(|line| line.contains(words)).count()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is there no more.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there");
    }

    /// Its process.
    ///
    /// # Panics
    /// Never: a child has a number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(mut self) -> Served {
        let closed = |stream: &mut watch::Receiver<Vec<String>>| {
            let mut stream = stream.clone();
            async move { while stream.changed().await.is_ok() {} }
        };
        let both = async {
            closed(&mut self.out).await;
            closed(&mut self.log).await;
        };
        assert!(timeout(PATIENCE, both).await.is_ok(), "it does not end: {:?}", self.log.borrow());
        let exit = self.child.wait().expect("it is ours").code();
        let (delivered, log) = (delivered(&self.out.borrow()), self.log.borrow().join("\n"));
        Served { exit, delivered, log }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, or nobody is interested in it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a stream has said so far; closed with the stream.
fn lines(stream: impl Read + Send + 'static) -> watch::Receiver<Vec<String>> {
    let (said, lines) = watch::channel(Vec::new());
    std::thread::spawn(move || {
        let heard = BufReader::new(stream).lines().map_while(Result::ok);
        heard.for_each(|line| said.send_modify(|lines| lines.push(line)));
    });
    lines
}

/// Ids and bodies of what was delivered, the bodies byte for byte.
fn delivered(lines: &[String]) -> Vec<(String, String)> {
    let one = |line: &String| {
        let id = line.strip_prefix(r#"{"event":"delivery","id":""#)?.split('"').next()?;
        let body = line.split_once(r#""body":"#)?.1.strip_suffix('}')?;
        Some((id.to_owned(), body.to_owned()))
    };
    lines.iter().filter_map(one).collect()
}
