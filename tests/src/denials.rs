//! What was denied, as the log tells it: events with the target
//! `sublane::denied`, kept for the tests that look at them.

use std::sync::Once;

use parking_lot::Mutex;
use sublane_core::RunId;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denial {
    /// The run that asked.
    pub run: String,
    /// The plugin whose instance asked.
    pub plugin: String,
    /// What it asked for.
    pub capability: String,
    /// The side that refused.
    pub refused_by: String,
}

static DENIALS: Mutex<Vec<Denial>> = Mutex::new(Vec::new());

/// What a run was denied so far, the oldest first.
#[must_use]
pub fn denials(run: RunId) -> Vec<Denial> {
    let run = run.to_string();
    DENIALS.lock().iter().filter(|denial| denial.run == run).cloned().collect()
}

/// Begins to listen. Guests run on threads of their own, so it is for the whole process.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listener))
            .expect("no test sets a subscriber of its own");
    });
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sublane::denied" {
            let mut denial = Denial::default();
            event.record(&mut denial);
            DENIALS.lock().push(denial);
        }
    }
}

impl Visit for Denial {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let part = match field.name() {
            "run" => &mut self.run,
            "plugin" => &mut self.plugin,
            "capability" => &mut self.capability,
            "refused_by" => &mut self.refused_by,
            _ => return,
        };
        value.clone_into(part);
    }
}
