//! Acts on what a host has, or on its store when no host runs.
//!
//! Owns the asking: an intent is written and its answer waited for, so that a
//! command says what became of it. Never decides what an intent does.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::intents::{Answer, Intent};
use sublane::open::store_file;
use sublane::steer::steer_alone;
use sublane_store::{HostLock, LockError, SqliteStore};

use super::reader::Reader;
use super::{Result, complain};

/// How long a host may take. It looks every quarter of a second, and ends instances that compute.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take where it may have to compile.
const PATIENCE_TO_COMPILE: Duration = Duration::from_secs(300);
/// The time between two looks for the answer.
const LOOK: Duration = Duration::from_millis(20);

/// Has an intent applied, by the host that runs or else here, and says what became of it.
///
/// A refusal is an error. So is a host that does not answer: then the intent waits in the store.
pub(super) async fn act(config: &Config, reader: &Reader, intent: Intent) -> Result<Answer> {
    match asked(config, reader, intent).await? {
        Answer::Refused { why } => Err(anyhow!(why).into()),
        answer => Ok(answer),
    }
}

/// As [`act`], where a refusal is an answer.
pub(super) async fn asked(config: &Config, reader: &Reader, intent: Intent) -> Result<Answer> {
    Ok(match HostLock::acquire_briefly(&config.state) {
        Ok(lock) => {
            let answer = alone(config, reader, intent).await?;
            drop(lock);
            complain("no host runs here: it is written in the store, and the next host goes on from there");
            answer
        }
        Err(LockError::Held { .. }) => beside(config, reader, &intent).await?,
        Err(error) => return Err(error.into()),
    })
}

async fn alone(config: &Config, reader: &Reader, intent: Intent) -> anyhow::Result<Answer> {
    let store = SqliteStore::open(&store_file(&config.state))?;
    let (crashes, link_base) = (config.limits.crashes, reader.link_base.as_str().into());
    Ok(steer_alone(&store, intent, crashes, link_base, SystemClock.now()).await?)
}

async fn beside(config: &Config, reader: &Reader, intent: &Intent) -> anyhow::Result<Answer> {
    let body = serde_json::to_string(intent).expect("an intent has string keys");
    let asked = SystemClock.now();
    let patience = if matches!(intent, Intent::Reload { .. }) { PATIENCE_TO_COMPILE } else { PATIENCE };
    let number = sublane_store::sqlite::ask(&store_file(&config.state), &body, asked)
        .context("the host was not asked")?;
    loop {
        if let Some(answer) = reader.store.intent_answer(number).await? {
            return serde_json::from_str(&answer).context("the host answers in words of another version");
        }
        if SystemClock.now().since(asked) > patience {
            let runs = HostLock::holder(&config.state)?;
            return Err(anyhow!(
                "{}: what was asked waits in the store and is done by {}",
                runs.as_ref()
                    .map_or("the host has stopped".to_owned(), |host| format!("{host} does not answer")),
                if runs.is_some() { "it as soon as it can" } else { "the next host" },
            ));
        }
        SystemClock.sleep_for(LOOK).await;
    }
}
