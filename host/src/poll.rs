//! Poll plans: what runs wait for at other machines, asked for by the host.
//!
//! Owns the one loop that makes polls, with the pace at each server, and what answers mean. What is
//! due is a row, so that a restart loses nothing; what is remembered of servers costs time only when
//! it is lost. Only the answer that decides reaches a journal. Never asks what the run may not ask today.

mod ask;
pub(crate) mod rules;
mod servers;

use std::collections::HashMap;
use std::sync::Arc;

use sublane_core::poll::Poll;
use sublane_core::{PollId, Timestamp};
use sublane_store::StoreError;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

pub use servers::Pace;

use crate::host::{Inner, woken};
use servers::{Heard, Room, Servers};

/// Polls under way.
#[derive(Default)]
struct Under {
    tasks: JoinSet<Heard>,
    /// Which plan each is of, and at which server.
    of: HashMap<Id, (PollId, Arc<str>)>,
}

impl Under {
    fn holds(&self, id: PollId) -> bool {
        self.of.values().any(|(other, _)| *other == id)
    }

    fn begin(&mut self, host: &Arc<Inner>, poll: Poll) {
        let (id, server) = (poll.id, poll.server.clone());
        let task = self.tasks.spawn(ask::ask(host.clone(), poll));
        self.of.insert(task.id(), (id, server));
    }

    fn ended(&mut self, id: Id, heard: Heard, servers: &mut Servers, now: Timestamp) {
        if let Some((_, server)) = self.of.remove(&id) {
            servers.end(&server, heard, now);
        }
    }
}

/// Begins polls that are due, as far as their servers have room. Gives when to look again.
async fn begin(
    host: &Arc<Inner>,
    servers: &mut Servers,
    under: &mut Under,
) -> Result<Option<Timestamp>, StoreError> {
    let (now, most) = (host.clock.now(), host.settings.polls.at_once);
    let mut next: Option<Timestamp> = None;
    let mut soon = |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at)));
    for (server, due) in host.store.polled_servers().await? {
        if due > now {
            soon(due);
            continue;
        }
        let server: Arc<str> = server.into();
        let left = most.saturating_sub(u32::try_from(under.of.len()).unwrap_or(most));
        let room = match servers.room(&server, now) {
            Room::For(room) => room.min(left),
            Room::At(at) => {
                soon(at);
                continue;
            }
            Room::Full => continue,
        };
        // Those under way may not be written yet: they are due as well.
        let due = host.store.due_polls(server.clone(), now, room + servers.under_way(&server)).await?;
        for poll in
            due.into_iter().filter(|poll| !under.holds(poll.id)).take(room as usize).collect::<Vec<_>>()
        {
            servers.begin(&server, now);
            under.begin(host, poll);
        }
        if let Room::At(at) = servers.room(&server, now) {
            soon(at);
        }
    }
    Ok(next)
}

/// Makes polls until the host stops. Woken by whoever makes one due, when the next one is, and when
/// one has ended; also every sweep. What is under way at the stop is asked again by the next host.
pub(crate) async fn sweep(host: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let (mut servers, mut under) = (Servers::new(host.settings.polls), Under::default());
    loop {
        let next = begin(&host, &mut servers, &mut under).await.unwrap_or_else(|error| {
            tracing::error!(%error, "polls that are due could not be read; the next sweep tries again");
            None
        });
        let latest = host.next_sweep();
        let at = next.map_or(latest, |next| next.min(latest));
        tokio::select! {
            Some(ended) = under.tasks.join_next_with_id() => {
                let mut ended = Some(ended);
                while let Some(one) = ended {
                    let (id, heard) = one.unwrap_or_else(|error| (error.id(), Heard::Nothing));
                    under.ended(id, heard, &mut servers, host.clock.now());
                    ended = under.tasks.try_join_next_with_id();
                }
            }
            goes_on = woken(&host.polled, &*host.clock, at, &mut stopped) => {
                if !goes_on {
                    return;
                }
            }
        }
    }
}
