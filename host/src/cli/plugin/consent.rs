//! Whether a plugin that is added gets what it asks for: an option says so, or whoever sits at the
//! terminal. Nothing is granted without either.
//!
//! Owns the question, and how a version differs from the one before. Writes nothing.

use std::io::{BufRead as _, IsTerminal as _, stderr, stdin};

use anyhow::anyhow;
use serde::Serialize;
use sublane::plugin::{Allow, Manifest};
use sublane_core::Authority;

use crate::cli::{Failed, Result, complain, render};

/// What becomes of a plugin's `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing is allowed.
    Nothing,
    /// Whatever it asks for, also after an update.
    Asked,
    /// What it asks for now.
    Now,
    /// What stands there already.
    Same,
}

/// The version that is configured already.
pub(super) struct Before {
    /// Its manifest, where that can still be read.
    pub(super) manifest: Option<Manifest>,
    pub(super) allow: Allow,
}

/// How a version differs from the one before, in words.
#[derive(Serialize)]
pub(super) struct Difference {
    /// Of the version before, if it is known.
    version: Option<String>,
    asks_more: Vec<String>,
    asks_less: Vec<String>,
    /// What it could do with what it is allowed now, and the one before could not.
    may_more: Vec<String>,
    may_less: Vec<String>,
    #[serde(skip)]
    gains: bool,
}

impl Difference {
    pub(super) fn of(before: &Before, manifest: &Manifest) -> Self {
        let may = |manifest: &Manifest| manifest.asks.meet(&before.allow.for_manifest(manifest));
        let nothing = Authority::default();
        let asked = before.manifest.as_ref().map_or(nothing.clone(), |before| before.asks.clone());
        let was = before.manifest.as_ref().map_or(nothing, may);
        let is = may(manifest);
        let (asks_more, asks_less) = lines(&asked, &manifest.asks);
        let (may_more, may_less) = lines(&was, &is);
        Self {
            version: before.manifest.as_ref().map(|before| before.version.clone()),
            asks_more,
            asks_less,
            may_more,
            may_less,
            gains: !is.not_allowed(&was).is_empty(),
        }
    }

    pub(super) fn text(&self) -> String {
        let before = self.version.as_deref().unwrap_or("the version before, which is not known any more");
        let signed = |more: &[String], less: &[String]| -> Vec<String> {
            let less = less.iter().map(|line| format!("- {line}"));
            let lines: Vec<String> = less.chain(more.iter().map(|line| format!("+ {line}"))).collect();
            if lines.is_empty() { vec!["nothing else".to_owned()] } else { lines }
        };
        let asks = signed(&self.asks_more, &self.asks_less);
        let may = signed(&self.may_more, &self.may_less);
        let mut text = render::section(&format!("asks, against {before}, to"), &asks);
        text.push_str(&render::section("with what it is allowed now, it would be able to", &may));
        text
    }
}

/// The sentences that are new, and those that are gone.
fn lines(was: &Authority, is: &Authority) -> (Vec<String>, Vec<String>) {
    let (was, is) = (render::authority(was), render::authority(is));
    let without = |these: &[String], others: &[String]| {
        these.iter().filter(|line| !others.contains(line)).cloned().collect()
    };
    (without(&is, &was), without(&was, &is))
}

/// What the operator decides, where no option did.
///
/// # Errors
/// Nobody can be asked, or who was asked said neither.
pub(super) fn ask(manifest: &Manifest, before: Option<&Difference>, can_ask: bool) -> Result<Choice> {
    let id = &manifest.id;
    let gains = before.map_or(!manifest.asks.not_allowed(&Authority::default()).is_empty(), |it| it.gains);
    let without = if before.is_some() { Choice::Same } else { Choice::Nothing };
    if !gains {
        return Ok(without);
    }
    let (word, letter, what) = match without {
        Choice::Same => ("same", "s", "[s]ame as it is allowed now"),
        _ => ("nothing", "n", "[n]othing for now"),
    };
    if !can_ask || !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Failed::wrong(anyhow!(
            "nothing was changed, since nobody said what {id} is to be allowed: read what it asks for with \
             `sublane plugin check`; then --grant allows what it asks for now, --allow asked also what it asks \
             for after an update, and --allow {word} no more than now"
        )));
    }
    complain(&format!(
        "Allow {id} to do all that it asks for? [y]es, {what}, or anything else to stop here?"
    ));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(Choice::Now),
        said if said == letter || said == word => Ok(without),
        _ => Err(anyhow!("nothing was changed").into()),
    }
}
