//! Poll plans: what runs wait for at other machines, asked for by the host.
//!
//! Owns the one loop that looks for what is due, the pace at each server, and what answers mean. What is
//! due is a row, so that a restart loses nothing; what is remembered of servers costs time only when
//! it is lost. Only the answer that decides reaches a journal. Never asks what the run may not ask today.

mod ask;
mod lines;
pub(crate) mod rules;
mod servers;

use std::sync::Arc;

use sublane_core::Timestamp;
use sublane_store::{DuePoll, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use servers::Pace;

use crate::host::Inner;
use lines::{Lines, Wants};

/// Makes a poll, and the next one in line at its server as soon as there is room.
async fn serve(host: Arc<Inner>, lines: Arc<Lines>, first: DuePoll) {
    let mut due = Some(first);
    while let Some(poll) = due {
        let under_way = lines.under_way(&poll);
        let heard = ask::ask(&host, poll).await;
        due = under_way.ended(heard);
    }
}

/// Begins polls that are due, as far as their servers have room. Gives when to look again.
async fn begin(
    host: &Arc<Inner>,
    lines: &Arc<Lines>,
    tasks: &mut JoinSet<()>,
) -> Result<Option<Timestamp>, StoreError> {
    let now = host.clock.now();
    let mut next: Option<Timestamp> = None;
    let mut soon = |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at)));
    let mut servers = host.store.polled_servers().await?;
    lines.in_turn(&mut servers);
    for (server, due) in servers {
        if due > now {
            soon(due);
            continue;
        }
        let server: Arc<str> = server.into();
        match lines.wants(&server) {
            Wants::More { limit, without } => {
                match host.store.due_polls(server.clone(), now, limit, without).await {
                    Ok(due) => lines.add(&server, due),
                    // What cannot be read of one holds up no other.
                    Err(error) => {
                        tracing::error!(server = &*server, %error, "due polls could not be read; tried again in a second");
                        soon(lines.failed(&server));
                    }
                }
            }
            Wants::Nothing => {}
            Wants::At(at) => {
                soon(at);
                continue;
            }
            // Where all are under way, an end is followed by another look.
            Wants::NoRoom => break,
        }
        while let Some(poll) = lines.begin(&server) {
            tasks.spawn(serve(host.clone(), lines.clone(), poll));
        }
        if let Some(at) = lines.had_its_turn(&server) {
            soon(at);
        }
    }
    Ok(next)
}

/// Makes polls until the host stops. Woken by whoever makes one due, when the next one is, and when one
/// has ended after which nobody in line may begin; also every sweep. What is under way at the stop is
/// asked again by the next host.
pub(crate) async fn sweep(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let (lines, mut tasks) = (Arc::new(Lines::new(host.settings.polls, host.clock.clone())), JoinSet::new());
    loop {
        let next = begin(&host, &lines, &mut tasks).await.unwrap_or_else(|error| {
            tracing::error!(%error, "polls that are due could not be read; the next sweep tries again");
            None
        });
        tokio::select! {
            Some(_) = tasks.join_next() => while tasks.try_join_next().is_some() {},
            goes_on = host.woken(&host.polled, next, &mut stopped) => {
                if !goes_on {
                    return;
                }
            }
        }
    }
}
