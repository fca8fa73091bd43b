//! What the tests of the outbox stand on: the store in memory, a clock that is moved
//! by hand, and a channel that answers what the test tells it, when it tells it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use async_trait::async_trait;
use sublane_core::{ConversationId, Destination, Lifetime, Priority, Purse, PurseAsk, RunId, RunSpec, Share};
use sublane_store::ops::NewConversation;
use sublane_store::{Accept, Backend, DeliveryFilter, Model, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::clock::ManualClock;

pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

/// An attempt that a channel was asked for; it lasts until it is answered.
pub(super) struct Call {
    pub(super) delivery: Delivery,
    pub(super) answer: oneshot::Sender<AttemptResult>,
}

/// Hands each attempt to the test. Serves every address but `unknown`; to `strict` in order.
struct Probe(mpsc::UnboundedSender<Call>);

#[async_trait]
impl Channel for Probe {
    fn class(&self) -> Class {
        Class::Idempotent
    }
    fn serves(&self, address: &str) -> bool {
        address != "unknown"
    }
    fn rule(&self, address: &str) -> Rule {
        let order = if address == "strict" { Order::Strict } else { Order::Any };
        Rule { order, ..Rule::default() }
    }
    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let (answer, answered) = oneshot::channel();
        self.0.send(Call { delivery: delivery.clone(), answer }).expect("the test listens");
        answered.await.expect("the test answers")
    }
}

/// The model, with a medium that fails when it is told to.
#[derive(Default)]
pub(super) struct Fragile {
    model: Model,
    pub(super) is_failing: AtomicBool,
}

impl Backend for Fragile {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Io("the disk is full".into()));
        }
        self.model.write(transaction).await
    }
    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.model.read(transaction).await
    }
}

pub(super) struct Scene {
    pub(super) store: Arc<Fragile>,
    pub(super) clock: ManualClock,
    pub(super) outbox: Outbox,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    pub(super) settled: watch::Receiver<u32>,
    runs: AtomicU8,
}

impl Scene {
    /// An outbox with one channel, `probe`.
    pub(super) fn new() -> Self {
        Self::on(Arc::default(), ManualClock::at(START), &["probe"])
    }

    pub(super) fn on(store: Arc<Fragile>, clock: ManualClock, channels: &[&str]) -> Self {
        let (tell, calls) = mpsc::unbounded_channel();
        let probe: Arc<dyn Channel> = Arc::new(Probe(tell));
        let channels = channels.iter().map(|name| ((*name).to_owned(), probe.clone())).collect();
        let (count, settled) = watch::channel(0);
        let on_settled = move || count.send_modify(|count| *count += 1);
        let outbox =
            Outbox::new(store.clone(), channels, Arc::new(clock.clone()), Handle::current(), on_settled);
        Self { store, clock, outbox, calls, settled, runs: AtomicU8::new(0) }
    }

    /// A run ends and owes this; the first attempts are marked, not sent.
    pub(super) async fn owe<D: AsRef<str>>(&self, destinations: &[D]) -> Vec<Delivery> {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        let to = |text: &str| text.parse::<Destination>().expect("a destination");
        let deadline = u64::MAX;
        let grants = format!(
            r#"{{"spawn":null,"channels":[],"tools":[],"kv":[],"artifacts":false,
                "caps":{{"deadline":{deadline},"memory_bytes":1000}}}}"#
        );
        let spec = RunSpec {
            id: RunId::new(START, [number; 10]),
            parent: None,
            lifetime: Lifetime::Detached,
            conversation: ConversationId([1; 16]),
            origin: to("console:me"),
            plugin: "video".to_owned(),
            agent: "render".to_owned(),
            plugin_digest: String::new(),
            name: format!("film-{number}"),
            lane: "subagent".to_owned(),
            priority: Priority::Normal,
            depth: 0,
            input: "{}".into(),
            artifacts: Vec::new(),
            grants: serde_json::from_str(&grants).expect("grants in their stored form"),
            purse: Purse::default(),
            destinations: destinations.iter().map(|text| to(text.as_ref())).collect(),
            created: START,
            dedupe_key: None,
            spawner: String::new(),
            seed: [0; 32],
            retry: None,
        };
        let purse = Purse { cpu_us: 1_000_000, spawns: 100, host_calls: 1_000, ..Purse::default() };
        let accept = Accept {
            conversation: NewConversation { id: spec.conversation, origin: spec.origin.clone(), purse },
            event: None,
            ask: PurseAsk { cpu_us: Share::Exactly(1), ..PurseAsk::default() },
            spec: Box::new(spec),
        };
        let run = self.store.accept(accept).await.expect("is accepted").run;
        let ended = self.store.cancel(run, "enough".into(), "file:///".into(), self.clock.now()).await;
        ended.expect("is cancelled").deliveries
    }

    /// A run ends and the outbox is told.
    pub(super) async fn send<D: AsRef<str>>(&self, destinations: &[D]) -> Vec<Delivery> {
        let owed = self.owe(destinations).await;
        self.outbox.send_now(owed.clone());
        owed
    }

    /// The next attempt that a channel is asked for.
    pub(super) async fn call(&mut self) -> Call {
        within(self.calls.recv()).await.expect("the outbox lives")
    }

    /// No channel is asked for anything, however long the tasks run.
    pub(super) async fn check_quiet(&mut self) {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(self.calls.try_recv().is_err());
    }

    pub(super) async fn now(&self, id: DeliveryId) -> Delivery {
        let all = self.store.deliveries(DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() }).await;
        all.expect("reads").into_iter().find(|delivery| delivery.id == id).expect("is there")
    }

    /// Waits until the delivery is settled like this.
    pub(super) async fn settled(&mut self, id: DeliveryId, state: DeliveryState, attempts: u32) -> Delivery {
        within(async {
            loop {
                self.settled.mark_unchanged();
                let delivery = self.now(id).await;
                if (delivery.state, delivery.attempts) == (state, attempts) {
                    return delivery;
                }
                self.settled.changed().await.expect("the outbox lives");
            }
        })
        .await
    }

    pub(super) fn advance_to(&self, at: Timestamp) {
        self.clock.advance(at.since(self.clock.now()));
    }
}

impl Call {
    pub(super) fn end(self, result: AttemptResult) {
        self.answer.send(result).expect("the outbox waits for it");
    }
}

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("it happens")
}
