//! Who says no to a run, along the whole way that its authority came: what its plugin asks for, what
//! the operator allows today, each run that handed it on, the conversation, the purse.
//!
//! Owns the order of these answers: whoever is nearest to the root speaks first. Decides nothing
//! that a run may do; it explains what was decided.

use super::capability::Holding;
use super::{Authority, Capability, Grants, Purse, Side};

/// The answer for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may; this is what it holds that says so.
    Allowed(String),
    /// It may not.
    Refused(Refusal),
}

/// Who says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which side.
    pub side: Side,
    /// For [`Side::Parent`]: how many steps up the chain the one is that had it and did not hand it
    /// on. The number of holders when it was a tool call.
    pub steps: usize,
    /// It was given to the run and has been taken away since.
    pub is_revoked: bool,
}

fn refused(side: Side, steps: usize) -> Verdict {
    Verdict::Refused(Refusal { side, steps, is_revoked: false })
}

/// Who refuses `capability` to the first of `chain`, which are the grants of a run, of the run that
/// spawned it, and so on, to the one whose grants are its plugin's root, or, `is_cut`, were cut from the
/// root by a tool call. `asks` and `allows` are the two sides of that plugin as they are today; `allows` is
/// none where the operator allows whatever is asked for.
///
/// # Panics
/// When the chain is empty.
#[must_use]
pub fn why(
    chain: &[&Grants],
    is_cut: bool,
    asks: &Authority,
    allows: Option<&Authority>,
    capability: &Capability<'_>,
) -> Verdict {
    let own = Holding::from(*chain.first().expect("a run holds grants"));
    let is_allowed = allows.is_none_or(|allows| Holding::from(allows).covers(capability));
    if own.covers(capability) {
        if !is_allowed {
            return Verdict::Refused(Refusal { side: Side::Operator, steps: 0, is_revoked: true });
        }
        let rule = own.each().find(|held| is_rule_for(held, capability));
        return Verdict::Allowed(rule.map_or_else(|| capability.to_string(), |rule| rule.to_string()));
    }
    let has = |grants: &&Grants| Holding::from(*grants).to_hand_on().covers(capability);
    if let Some(steps) = chain.iter().skip(1).position(has) {
        return refused(Side::Parent, steps + 1);
    }
    if !Holding::from(asks).covers(capability) {
        refused(Side::Manifest, 0)
    } else if is_allowed && is_cut {
        refused(Side::Parent, chain.len())
    } else {
        // Also what was allowed only after the run began.
        refused(Side::Operator, 0)
    }
}

/// Whether this one thing that is held covers what is wanted.
fn is_rule_for(held: &Capability<'_>, wanted: &Capability<'_>) -> bool {
    use Capability as C;
    match (held, wanted) {
        (C::Spawn { plugin, agent }, C::Spawn { plugin: p, agent: a }) => {
            plugin == p && (agent.is_none() || agent == a)
        }
        (C::Call { plugin, tool }, C::Call { plugin: p, tool: t }) => {
            plugin == p && (tool.is_none() || tool == t)
        }
        (
            C::KvPrefix { bucket, prefix, mode },
            C::Kv { bucket: b, key: start, mode: m } | C::KvPrefix { bucket: b, prefix: start, mode: m },
        ) => bucket == b && start.starts_with(&**prefix) && m <= mode,
        (C::Http { method, to }, C::Http { method: m, to: t }) => method == m && to.covers(t),
        (C::Files { root, path, mode }, C::Files { root: r, path: p, mode: m }) => {
            root == r && p.starts_with(path) && m <= mode
        }
        (C::Secret { name, place, audience }, C::Secret { name: n, place: p, audience: a }) => {
            name == n && place == p && audience.covers(a)
        }
        (C::Model { provider, model }, C::Model { provider: p, model: m }) => {
            provider == p && (model.is_none() || model == m)
        }
        (C::SpawnDepth(held), C::SpawnDepth(wanted))
        | (C::SpawnActiveChildren(held), C::SpawnActiveChildren(wanted)) => wanted <= held,
        (held, wanted) => held == wanted,
    }
}

/// Who refuses a run to spend so much of the amount at `index` of [`Purse::LIMITS`]. `given` is what
/// its purse held when it was accepted and `left` what it holds; `root` is what both sides of its
/// plugin come to when the run is a root, and none when another run gave it its purse.
#[must_use]
pub fn why_not_spend(
    index: usize,
    amount: u64,
    given: &Purse,
    left: &Purse,
    root: Option<(&Authority, &Authority)>,
) -> Option<Side> {
    let of = |purse: &Purse| purse.amounts()[index];
    if of(left) >= amount {
        return None;
    }
    Some(match root {
        _ if of(given) >= amount => Side::Purse,
        None => Side::Parent,
        Some((asks, _)) if of(&asks.purse) < amount => Side::Manifest,
        Some((asks, allows)) if of(&asks.meet(allows).purse) < amount => Side::Operator,
        Some(_) => Side::Conversation,
    })
}
