//! How work comes in from outside: a message on a channel, or an agent and a task.
//!
//! Owns the making of root runs. Asks nobody who is calling: a message belongs
//! to the conversation that its channel and address name, and the run gets the
//! root grants of its plugin.

use std::sync::Arc;

use sublane_core::{
    ConversationId, Destination, Grants, Lifetime, Priority, Purse, PurseAsk, RunId, RunSpec,
};
use sublane_store::{Accept, Accepted, StoreError};

use crate::host::Inner;
use crate::plugin::schema::Unfit;

/// Why work was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Nobody answers on this channel.
    #[error(
        "nobody answers messages on channel `{channel}`: give it an `agent = \"plugin/agent\"` in the configuration"
    )]
    NobodyAnswers {
        /// The channel.
        channel: String,
    },
    /// There is no such agent.
    #[error("there is no agent `{agent}`; there are {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    NoSuchAgent {
        /// What was asked for.
        agent: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The task is not JSON.
    #[error("the task is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// The task is not what the agent takes.
    #[error("{agent} does not take this: {why}")]
    Unfit {
        /// The agent.
        agent: String,
        /// Where it does not fit, and why.
        why: Unfit,
    },
    /// The disk has no room for more.
    #[error(transparent)]
    DiskLow(#[from] crate::machine::Low),
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A message that came in on a channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it came from, and where answers go.
    pub origin: Destination,
    /// Who wrote it, for people.
    pub from: String,
    /// What it says.
    pub text: String,
    /// The channel's own id of it: the same one is accepted once.
    pub event: Option<String>,
}

/// A task for an agent, from a command.
#[derive(Clone, Debug)]
pub struct Task {
    /// `plugin/agent`, or `plugin` for its only one.
    pub agent: String,
    /// The input as JSON text.
    pub input: String,
    /// The conversation it belongs to.
    pub origin: Destination,
    /// Its lane.
    pub lane: &'static str,
    /// Where the ending is delivered, besides being stored.
    pub deliver: Vec<Destination>,
    /// The same one is accepted once.
    pub event: Option<String>,
}

/// What an agent that answers on a channel gets as its input: JSON, `{"text": "…", "from": "…"}`.
#[must_use]
pub fn input_of(text: &str, from: &str) -> String {
    serde_json::json!({ "text": text, "from": from }).to_string()
}

impl Inner {
    /// A message becomes a run of the agent that answers on its channel.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn message(self: &Arc<Self>, message: Message) -> Result<Accepted, IntakeError> {
        let channel = &message.origin.channel;
        let agent = self.answers.get(channel).cloned();
        let agent = agent.ok_or_else(|| IntakeError::NobodyAnswers { channel: channel.clone() })?;
        let input = input_of(&message.text, &message.from);
        let deliver = vec![message.origin.clone()];
        self.task(Task { agent, input, origin: message.origin, lane: "main", deliver, event: message.event })
            .await
    }

    /// A task becomes a run.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn task(self: &Arc<Self>, task: Task) -> Result<Accepted, IntakeError> {
        let accept = self.plan(task)?;
        let deadline = accept.spec.deadline();
        let accepted = self.store.accept(accept).await;
        let accepted = accepted.inspect_err(|error| self.note_fault(error))?;
        self.note_due(Some(deadline));
        self.dispatch(accepted.effects.clone());
        Ok(accepted)
    }

    /// The run that a task becomes, as the store is asked for it.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub(crate) fn plan(&self, task: Task) -> Result<Accept, IntakeError> {
        self.disk.look()?;
        serde_json::from_str::<serde::de::IgnoredAny>(&task.input).map_err(IntakeError::NotJson)?;
        let plugins = self.plugins();
        let (plugin_id, name) = match task.agent.split_once('/') {
            Some((plugin, agent)) => (plugin, Some(agent)),
            None => (task.agent.as_str(), None),
        };
        let found = plugins.get(plugin_id).and_then(|plugin| Some((plugin, plugin.agent(name)?)));
        let (plugin, agent) = found.ok_or_else(|| IntakeError::NoSuchAgent {
            agent: task.agent.clone(),
            known: plugins
                .iter()
                .flat_map(|plugin| {
                    plugin.agents.iter().map(|agent| format!("{}/{}", plugin.manifest.id, agent.name))
                })
                .collect(),
        })?;
        let unfit = |why| IntakeError::Unfit { agent: format!("{plugin_id}/{}", agent.name), why };
        agent.input_schema.check("the task", &task.input).map_err(unfit)?;
        let now = self.clock.now();
        let (grants, purse): (Grants, Purse) = plugin.root_within(now, self.lanes.timeout(task.lane));
        let id = RunId::new(now, random()?);
        let event = task.event.map(|event| (task.origin.channel.clone(), event));
        let spec = RunSpec {
            id,
            parent: None,
            lifetime: Lifetime::Detached,
            conversation: ConversationId([0; 16]),
            origin: task.origin.clone(),
            plugin: plugin.manifest.id.clone(),
            agent: agent.name.clone(),
            plugin_digest: plugin.digest.clone(),
            name: format!("{}-{}", agent.name, id.short()),
            lane: task.lane.to_owned(),
            priority: Priority::Normal,
            depth: 0,
            input: task.input.into(),
            artifacts: Vec::new(),
            grants,
            purse: Purse::default(),
            destinations: task.deliver,
            created: now,
            dedupe_key: None,
            spawner: plugin.manifest.id.clone(),
            seed: random()?,
            retry: None,
        };
        let ask = PurseAsk::exactly(purse);
        let conversation = sublane_store::ops::NewConversation {
            id: ConversationId::new(now, random()?),
            origin: task.origin,
            purse: self.settings.purse,
        };
        Ok(Accept { conversation, event, spec: Box::new(spec), ask })
    }
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io(error.to_string().into()))?;
    Ok(bytes)
}
