//! What the host does by itself: it reads what is due and does it, woken by a
//! hint and on a timer. A hint that is lost costs a sweep's time, nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sublane_core::lane::REPORT_AFTER;
use sublane_core::{Run, Timestamp};
use sublane_store::RunFilter;
use tokio::sync::{Notify, watch};

use super::Inner;
use crate::clock::Clock;
use crate::engine::Class;
use crate::error::chain;
use crate::retention::{self, Collected};
use crate::{late, progress as reports};

impl Inner {
    /// Decides what is due, and notes when the next is. What is due at once after a long stop is
    /// spread: as soon as many runs are in line for a slot, few are woken at each look.
    async fn fire_due(self: &Arc<Self>) -> Result<(), sublane_store::StoreError> {
        // A host with nothing to do only reads: it looks first, unless it was to come now.
        let mut is_due = self.next_due.swap(u64::MAX, Ordering::Relaxed) <= self.clock.now().0;
        loop {
            let has_room = self.lanes.in_line() < self.settings.line as usize;
            if is_due {
                self.fire_some(has_room).await?;
            }
            let next = self.store.next_due().await?;
            let now = self.clock.now();
            if next.is_none_or(|next| next > now) {
                self.note_due(next);
                return Ok(());
            }
            if is_due && (!has_room || self.is_stopping()) {
                self.note_due(Some(now.after(self.settings.sweep / 10)));
                return Ok(());
            }
            is_due = true;
        }
    }

    /// Ends some of the runs whose time is up, and decides some of the waits that are due.
    async fn fire_some(self: &Arc<Self>, has_room: bool) -> Result<(), sublane_store::StoreError> {
        const LIMIT: u32 = 256;
        let most = (self.settings.line / 4).clamp(1, LIMIT);
        let waits = if has_room { most } else { most.div_ceil(8) };
        let effects = self.store.fire_due(LIMIT, waits, self.link_base.clone(), self.clock.now()).await?;
        self.dispatch(effects);
        Ok(())
    }

    /// Offers what is queued and nobody told of.
    async fn find_queued(self: &Arc<Self>) -> Result<(), sublane_store::StoreError> {
        const PAGE: u32 = 500;
        let mut after = None;
        loop {
            let page = self.store.queued(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.since, last.run));
            let is_last = page.len() < PAGE as usize;
            for ready in page {
                self.report_wait(&ready);
                if !self.attempts.lock().contains_key(&ready.run) {
                    self.lanes.offer(self, ready);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Asks again for room for those who have a slot and wait for an instance's place: the one that was
    /// asked first may have held none of what they lack, or not enough.
    fn make_room(&self) {
        for class in [Class::Small, Class::Large] {
            for (lack, plugin) in self.engines.of(class).pool.waiting() {
                self.lanes.make_room(class, lack, &plugin);
            }
        }
    }

    /// Reports, once, a run that has waited for a slot for longer than people expect.
    fn report_wait(&self, ready: &sublane_store::Ready) {
        let waited = self.clock.now().since(ready.since);
        let first_look = REPORT_AFTER..REPORT_AFTER + self.settings.sweep;
        if first_look.contains(&waited)
            && let Some(position) = self.lanes.position(&ready.lane, ready.run)
        {
            let waited_s = waited.as_secs_f64();
            tracing::info!(run = %ready.run, lane = %ready.lane, position, waited_s, "a run waits for a slot");
        }
    }
}

impl Inner {
    /// Runs that wait and were begun by an earlier host: the newest of them are watched from now on.
    /// The others are when they go on. Gives whether they could be looked at.
    async fn watch_waiting(&self) -> bool {
        const LIMIT: u32 = 1_000;
        let filter = RunFilter { state: Some("waiting".to_owned()), limit: LIMIT, ..RunFilter::default() };
        let waiting = self.store.runs(filter).await;
        if let Err(error) = &waiting {
            tracing::warn!(%error, "which runs wait could not be read; the next sweep tries again");
        }
        waiting.map(|runs| runs.iter().for_each(|run| self.late.watch(run))).is_ok()
    }

    /// Says of runs that their time is nearly up: to the operator, in their logs, and to people.
    async fn tell_late(&self) {
        const LIMIT: usize = 256;
        let now = self.clock.now();
        for id in self.late.take(now, LIMIT) {
            match self.store.run(id).await {
                Ok(Some(run)) if !run.is_ended() => self.tell_of_late(&run, now),
                Ok(_) => self.late.ended(id),
                Err(error) => {
                    tracing::warn!(run = %id, %error, "a run whose time is nearly up could not be read")
                }
            }
        }
    }

    fn tell_of_late(&self, run: &Run, now: Timestamp) {
        let left = run.spec.deadline().since(now);
        if left < late::LEAST {
            return;
        }
        let (id, left_s) = (run.spec.id, left.as_secs());
        let (run_name, agent) = (&run.spec.name, run.spec.agent_name());
        tracing::warn!(run = %id, run_name, agent, left_s, "the time of a run is nearly up");
        let what = format!("{} % of its time is used: {}", late::PER_CENT, reports::left(left));
        self.logs.tell(id, run.generation, run.attempt, now, &what);
        self.progress.late(run, || !self.late.lives(id));
    }
}

impl Inner {
    async fn remove_old(self: &Arc<Self>, with_files: bool, logs_from: &mut Option<sublane_store::Position>) {
        let (store, settings) = (&*self.store, &self.settings.retention);
        let lines = retention::logs(store, settings, &*self.clock, logs_from).await;
        let runs = match lines {
            Ok(lines) => retention::runs(store, settings, &*self.clock, &mut |_| {})
                .await
                .map(|runs| Collected { rows: runs.rows + lines, ..runs }),
            Err(error) => Err(error),
        };
        let (files, versions) = match with_files {
            true => (
                retention::files(store, &self.artifacts, settings, self.clock.now()).await,
                self.remove_versions().await,
            ),
            false => (Ok(Collected::default()), Ok(Collected::default())),
        };
        let code = if with_files { self.remove_code().await } else { 0 };
        match runs.and_then(|runs| Ok((runs, files?, versions?))) {
            Ok((runs, files, versions)) if runs.rows + files.files + versions.versions + code > 0 => {
                tracing::info!(
                    runs = runs.runs,
                    rows = runs.rows,
                    files = files.files,
                    bytes = files.bytes,
                    versions = versions.versions,
                    code,
                    "removed what is old"
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "what is old could not be removed; the next sweep tries again")
            }
        }
    }
}

impl Inner {
    /// Files of compiled code that are removed; that they cannot be keeps nothing else from going.
    async fn remove_code(self: &Arc<Self>) -> u64 {
        let (now, age) = (self.clock.now(), self.settings.retention.cache);
        let removed = self.clone().blocking(move |host| host.versions.remove_old_code(now, age)).await;
        match removed.and_then(|removed| removed.map_err(|error| chain(&error))) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(error, "old compiled code could not be removed");
                0
            }
        }
    }

    async fn remove_versions(&self) -> Result<Collected, retention::CollectError> {
        self.touch_versions();
        // One that is in memory is on its way to a run, or in a tool call.
        let needed: Vec<String> =
            self.versions.all_in_memory().iter().map(|plugin| plugin.digest.clone()).collect();
        let (kept, settings) = (self.versions.kept(), &self.settings.retention);
        retention::versions(&*self.store, kept, &needed, settings, self.clock.now()).await
    }
}

impl Inner {
    /// Waits for a hint, for `next` or the next sweep, whichever comes first, or for the stop; false when
    /// it is the stop.
    pub(crate) async fn woken(
        &self,
        hint: &Notify,
        next: Option<Timestamp>,
        stopped: &mut watch::Receiver<bool>,
    ) -> bool {
        let now = self.clock.now();
        let latest = self.next_sweep(now);
        let at = next.map_or(latest, |next| next.min(latest));
        woken(hint, &*self.clock, now, at, stopped).await
    }
}

/// Waits for a hint, a time or the stop; false when it is the stop. `now` is when it begins, as in
/// [`Clock::sleep`].
async fn woken(
    hint: &Notify,
    clock: &dyn Clock,
    now: Timestamp,
    at: Timestamp,
    stopped: &mut watch::Receiver<bool>,
) -> bool {
    woken_or(hint, clock.sleep(now, at), stopped).await
}

/// Waits for a hint, something else or the stop; false when it is the stop.
async fn woken_or(
    hint: &Notify,
    slept: impl Future<Output = ()>,
    stopped: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        () = hint.notified() => true,
        () = slept => true,
        _ = stopped.wait_for(|stopped| *stopped) => false,
    }
}

/// Decides waits and deadlines that are due, and says which deadlines are near. At the start, woken
/// by whoever opens one, when the next one is due; also every sweep.
pub(super) async fn due(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let mut knows_waiting = false;
    loop {
        if let Err(error) = host.fire_due().await {
            tracing::error!(%error, "what is due could not be decided; the next sweep tries again");
        }
        knows_waiting = knows_waiting || host.watch_waiting().await;
        host.tell_late().await;
        host.lanes.cool_down(host.settings.hot_window, host.clock.now());
        let begun = host.clock.now();
        let latest = host.next_sweep(begun);
        let next = || latest.min(Timestamp(host.next_due.load(Ordering::Relaxed)));
        let mut now = begun;
        loop {
            let at = next();
            let slept = match at < latest {
                true => host.clock.sleep_exactly(now, at),
                false => host.clock.sleep(now, at),
            };
            if !woken_or(&host.due, slept, &mut stopped).await {
                return;
            }
            // A clock that was set back says nothing about how long this has slept: look anew.
            now = host.clock.now();
            if now >= next() || now < begun {
                break;
            }
        }
    }
}

/// Finds runs that are queued and in no lane, and room for those that wait for it. Every sweep, and once
/// at the start.
pub(super) async fn queued(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let never = Notify::new();
    loop {
        if let Err(error) = host.find_queued().await {
            tracing::error!(%error, "queued runs could not be read; the next sweep tries again");
        }
        host.make_room();
        if !host.woken(&never, None, &mut stopped).await {
            return;
        }
    }
}

/// Looks at the disk. Every sweep.
pub(super) async fn disk(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let never = Notify::new();
    loop {
        if !host.woken(&never, None, &mut stopped).await {
            return;
        }
        // What it saw is remembered, and in the log.
        let _ = host.disk.look();
    }
}

/// Tells people and the store what runs report. Woken by a report.
pub(super) async fn progress(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    loop {
        let now = host.clock.now();
        // What was told at an instant that has yet to come was told before the clock was set back.
        let soon = |next: Timestamp| next.min(now.after(crate::progress::PERIOD));
        let at = host
            .progress
            .next()
            .into_iter()
            .chain(host.progress.forgets())
            .min()
            .map_or_else(|| now.after(Duration::from_secs(3_600)), soon);
        if !woken(&host.progress.wake, &*host.clock, now, at, &mut stopped).await {
            return;
        }
        let reports = host.progress.flush(host.clock.now());
        if !reports.is_empty()
            && let Err(error) = host.store.progress(reports).await
        {
            tracing::warn!(%error, "progress could not be stored");
        }
    }
}

/// Stores what guests log, a while after the first line. Woken by it.
pub(super) async fn logs(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = host.logs.wake.notified() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        tokio::select! {
            () = host.clock.sleep_for(crate::runlog::PERIOD) => {}
            // The stop stores it, with what attempts log until then.
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        host.logs.flush(&*host.store).await;
    }
}

/// Removes what is old: a minute after the start, then at most every minute, and at once when somebody
/// asks. Files are looked through every hour, or when asked.
pub(super) async fn old(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    const PERIOD: Duration = Duration::from_secs(60);
    const FILES: Duration = Duration::from_secs(3_600);
    /// A look that took long is followed by a rest so many times as long.
    const RESTS: u32 = 50;
    let mut now = host.clock.now();
    let mut at = now.after(PERIOD);
    let mut files_at = at;
    let mut logs_from = None;
    loop {
        if !woken(&host.collect, &*host.clock, now, at, &mut stopped).await {
            return;
        }
        let begun = host.clock.now();
        let with_files = begun >= files_at || begun < at;
        tokio::select! {
            () = host.remove_old(with_files, &mut logs_from) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        now = host.clock.now();
        at = now.after(PERIOD.max(now.since(begun) * RESTS));
        if with_files {
            files_at = now.after(FILES);
        }
    }
}
