//! Many seeds at once, and those among them that come to no end.
//!
//! Owns what each of them does at the moment. One that does the same for too long has failed, and is
//! told with what it does, as soon as that is known; the others go on.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::Report;

/// Who does one thing for so long on the machine's own clock stands still.
const STILL: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a seed does at the moment.
#[derive(Clone)]
pub struct Doing(Arc<Mutex<Now>>);

struct Now {
    part: String,
    what: &'static str,
    since: Instant,
}

impl Default for Doing {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Now { part: String::new(), what: "it begins", since: Instant::now() })))
    }
}

impl Doing {
    /// A part of the seed begins.
    pub fn part(&self, part: String) {
        self.0.lock().part = part;
    }

    /// This is done, or waited for, from now on.
    pub fn now(&self, what: &'static str) {
        let mut now = self.0.lock();
        (now.what, now.since) = (what, Instant::now());
    }

    /// What it does, if it has done nothing else for too long.
    fn stands_still(&self) -> Option<String> {
        let Now { part, what, since } = &*self.0.lock();
        let still = since.elapsed();
        (still >= STILL).then(|| format!("it comes to no end: for {} s, in {part}: {what}", still.as_secs()))
    }
}

/// Seeds that are under way.
#[derive(Default)]
struct Under {
    tasks: JoinSet<Report>,
    of: HashMap<Id, (u64, Doing, AbortHandle)>,
}

impl Under {
    /// The next that ends or stands still, once there is one.
    async fn next(&mut self) -> Report {
        loop {
            if let Some(still) = self.still() {
                return still;
            }
            let Ok(Some(ended)) = timeout(LOOK, self.tasks.join_next_with_id()).await else { continue };
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            // One that was given up ends as well, and was told before.
            let Some((number, ..)) = self.of.remove(&id) else { continue };
            let panicked = |error| Report::failed(number, format!("it panicked: {error}"));
            return ended.map_or_else(panicked, |(_, report)| report);
        }
    }

    /// One that stands still, which is given up.
    fn still(&mut self) -> Option<Report> {
        let (id, why) = self.of.iter().find_map(|(id, (_, doing, _))| Some((*id, doing.stands_still()?)))?;
        let (number, _, task) = self.of.remove(&id)?;
        task.abort();
        Some(Report::failed(number, why))
    }
}

/// Plays seeds, so many at once; `each` is told what each came to.
pub async fn all<F: Future<Output = Report> + Send + 'static>(
    mut seeds: Range<u64>,
    at_once: usize,
    play: impl Fn(u64, Doing) -> F,
    mut each: impl FnMut(&Report),
) -> Report {
    let (mut report, mut under) = (Report::default(), Under::default());
    loop {
        while under.of.len() < at_once
            && let Some(number) = seeds.next()
        {
            let doing = Doing::default();
            let task = under.tasks.spawn(play(number, doing.clone()));
            under.of.insert(task.id(), (number, doing, task));
        }
        if under.of.is_empty() {
            return report;
        }
        let one = under.next().await;
        each(&one);
        report.add(one);
    }
}
