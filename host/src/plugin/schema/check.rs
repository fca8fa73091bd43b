//! Checks a value against a schema, in a bounded number of steps.
//!
//! Owns the order in which things are looked at: what is said first is what is wrong first.

use std::collections::HashSet;
use std::fmt::Write as _;

use regex::Regex;
use serde_json::Value;
use sublane_core::{ImportError, LimitHit};

use super::{Node, Rules, text};

/// Steps of one check: a subschema that meets a value is one, 64 bytes of a text another.
pub const MAX_STEPS: u64 = 1_000_000;
/// How many subschemas may be inside each other while a value is checked.
const MAX_DEPTH: u32 = 200;
/// Bytes of text that a step is worth.
const STEP_BYTES: usize = 64;

/// Why an input is not what its schema says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not fit: where, and why.
    #[error("{0}")]
    Invalid(String),
    /// To say whether it fits takes more than [`MAX_STEPS`].
    #[error("to check it takes more than {MAX_STEPS} steps: give it less, or the plugin a simpler schema")]
    TooCostly,
}

impl From<Unfit> for ImportError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Invalid(why) => Self::Invalid(why),
            Unfit::TooCostly => Self::Limit(LimitHit::new("schema.steps", MAX_STEPS)),
        }
    }
}

/// Where in the value the check is: the way back to its root.
#[derive(Clone, Copy)]
enum At<'a> {
    Root,
    Member(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Member(above, _) | Self::Item(above, _) => above.depth() + 1,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Root => {}
            Self::Member(above, name) => {
                above.write(out);
                let _ = write!(out, "/{}", text::escaped(&text::shown(name)));
            }
            Self::Item(above, number) => {
                above.write(out);
                let _ = write!(out, "/{number}");
            }
        }
    }
}

/// What stops a check.
enum Stop {
    /// The value does not fit, so deep in it.
    Misfit {
        depth: usize,
        at: String,
        why: String,
    },
    TooCostly,
}

type Checked = Result<(), Stop>;

struct Check<'s> {
    nodes: &'s [Rules],
    steps: u64,
    depth: u32,
}

pub(super) fn check(nodes: &[Rules], what: &str, value: &Value) -> Result<(), Unfit> {
    match (Check { nodes, steps: 0, depth: 0 }).node(0, value, &At::Root) {
        Ok(()) => Ok(()),
        Err(Stop::TooCostly) => Err(Unfit::TooCostly),
        Err(Stop::Misfit { at, why, .. }) if at.is_empty() => Err(Unfit::Invalid(format!("{what}: {why}"))),
        Err(Stop::Misfit { at, why, .. }) => Err(Unfit::Invalid(format!("{what} at {at}: {why}"))),
    }
}

fn misfit(at: &At<'_>, why: impl Into<String>) -> Checked {
    let mut place = String::new();
    at.write(&mut place);
    Err(Stop::Misfit { depth: at.depth(), at: place, why: why.into() })
}

impl Check<'_> {
    fn pay(&mut self, bytes: usize) -> Checked {
        self.steps += 1 + (bytes / STEP_BYTES) as u64;
        if self.steps > MAX_STEPS { Err(Stop::TooCostly) } else { Ok(()) }
    }

    /// Whether it fits; that it takes too long is passed on.
    fn fits(&mut self, node: Node, value: &Value, at: &At<'_>) -> Result<bool, Stop> {
        match self.node(node, value, at) {
            Ok(()) => Ok(true),
            Err(Stop::Misfit { .. }) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn node(&mut self, node: Node, value: &Value, at: &At<'_>) -> Checked {
        self.pay(0)?;
        if self.depth == MAX_DEPTH {
            return Err(Stop::TooCostly);
        }
        self.depth += 1;
        let checked = self.rules(node, value, at);
        self.depth -= 1;
        checked
    }

    fn rules(&mut self, node: Node, value: &Value, at: &At<'_>) -> Checked {
        let nodes = self.nodes;
        let rules = &nodes[node];
        if rules.is_never {
            return misfit(at, "nothing may be here");
        }
        if !rules.types.is_empty() && !rules.types.iter().any(|name| is_of(value, name)) {
            return misfit(at, format!("it is {} and must be {}", kind(value), rules.types.join(" or ")));
        }
        for values in &rules.values {
            let found = text::canonical(value);
            self.pay(found.len())?;
            if !values.contains(&found) {
                return misfit(at, format!("it must be {}", text::shown(&values.join(" or "))));
            }
        }
        self.bounds(rules, value, at)?;
        match value {
            Value::String(string) => self.matches(rules.pattern.as_ref(), string, at)?,
            Value::Array(items) => self.array(rules, items, at)?,
            Value::Object(members) => self.object(rules, members, at)?,
            _ => {}
        }
        self.together(rules, value, at)
    }

    fn matches(&mut self, pattern: Option<&Regex>, string: &str, at: &At<'_>) -> Checked {
        let Some(pattern) = pattern else { return Ok(()) };
        self.pay(string.len())?;
        if pattern.is_match(string) {
            return Ok(());
        }
        misfit(at, format!("it does not match `{}`", text::shown(pattern.as_str())))
    }

    fn bounds(&mut self, rules: &Rules, value: &Value, at: &At<'_>) -> Checked {
        for (keyword, bound) in &rules.bounds {
            let found = match (value, *keyword) {
                (
                    Value::Number(number),
                    "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf",
                ) => number.as_f64().unwrap_or(f64::NAN),
                (Value::String(string), "minLength" | "maxLength") => {
                    self.pay(string.len())?;
                    string.chars().count() as f64
                }
                (Value::Array(items), "minItems" | "maxItems") => items.len() as f64,
                (Value::Object(members), "minProperties" | "maxProperties") => members.len() as f64,
                _ => continue,
            };
            let is_within = match *keyword {
                "minimum" | "minLength" | "minItems" | "minProperties" => found >= *bound,
                "exclusiveMinimum" => found > *bound,
                "exclusiveMaximum" => found < *bound,
                "multipleOf" => *bound > 0.0 && (found / bound).fract() == 0.0,
                _ => found <= *bound,
            };
            if !is_within {
                return misfit(at, format!("`{keyword}` is {bound}, and this has {found}"));
            }
        }
        Ok(())
    }

    fn array(&mut self, rules: &Rules, items: &[Value], at: &At<'_>) -> Checked {
        for (number, item) in items.iter().enumerate() {
            let node = rules.prefix.get(number).copied().or(rules.items);
            if let Some(node) = node {
                self.node(node, item, &At::Item(at, number))?;
            }
        }
        if rules.is_unique {
            let mut seen = HashSet::new();
            for (number, item) in items.iter().enumerate() {
                let found = text::canonical(item);
                self.pay(found.len())?;
                if !seen.insert(found) {
                    return misfit(&At::Item(at, number), "it is there twice");
                }
            }
        }
        let Some(node) = rules.contains else { return Ok(()) };
        let mut fitting = 0_u32;
        for (number, item) in items.iter().enumerate() {
            fitting += u32::from(self.fits(node, item, &At::Item(at, number))?);
        }
        let bound = |name| rules.bounds.iter().find(|(keyword, _)| *keyword == name).map(|(_, bound)| *bound);
        let (least, most) = (bound("minContains").unwrap_or(1.0), bound("maxContains").unwrap_or(f64::MAX));
        if f64::from(fitting) < least || f64::from(fitting) > most {
            return misfit(at, format!("{fitting} of its items are as `contains` says"));
        }
        Ok(())
    }

    fn object(&mut self, rules: &Rules, members: &serde_json::Map<String, Value>, at: &At<'_>) -> Checked {
        let lacking = |names: &[String]| names.iter().find(|name| !members.contains_key(*name)).cloned();
        self.pay(rules.required.len() * STEP_BYTES / 8)?;
        if let Some(name) = lacking(&rules.required) {
            return misfit(at, format!("`{}` is missing", text::shown(&name)));
        }
        for (name, needed) in &rules.dependent_required {
            self.pay(needed.len() * STEP_BYTES / 8)?;
            if let Some(needed) = lacking(needed).filter(|_| members.contains_key(name)) {
                return misfit(at, format!("`{}` is missing", text::shown(&needed)));
            }
        }
        for (name, member) in members {
            let here = At::Member(at, name);
            let mut is_known = false;
            if let Some(node) = rules.properties.get(name) {
                is_known = true;
                self.node(*node, member, &here)?;
            }
            for (pattern, node) in &rules.pattern_properties {
                // Whether a pattern that is not matched here would match is not known.
                let Some(pattern) = pattern else {
                    is_known = true;
                    continue;
                };
                self.pay(name.len())?;
                if pattern.is_match(name) {
                    is_known = true;
                    self.node(*node, member, &here)?;
                }
            }
            if let Some(node) = rules.additional.filter(|_| !is_known) {
                self.node(node, member, &here)?;
            }
            if let Some(node) = rules.names {
                self.node(node, &Value::String(name.clone()), &here)?;
            }
        }
        Ok(())
    }

    /// What several subschemas say of the same value.
    fn together(&mut self, rules: &Rules, value: &Value, at: &At<'_>) -> Checked {
        for node in &rules.all {
            self.node(*node, value, at)?;
        }
        if !rules.any.is_empty() {
            self.one_of(&rules.any, value, at, false)?;
        }
        if !rules.one.is_empty() {
            self.one_of(&rules.one, value, at, true)?;
        }
        if let Some(node) = rules.not
            && self.fits(node, value, at)?
        {
            return misfit(at, "it is what `not` says");
        }
        if let Some(condition) = rules.condition {
            let then = if self.fits(condition, value, at)? { rules.then } else { rules.otherwise };
            if let Some(node) = then {
                self.node(node, value, at)?;
            }
        }
        for (name, node) in &rules.dependent {
            if value.get(name).is_some() {
                self.node(*node, value, at)?;
            }
        }
        Ok(())
    }

    /// One of several forms; what is told of a value that has none is what got furthest.
    fn one_of(&mut self, forms: &[Node], value: &Value, at: &At<'_>, is_only: bool) -> Checked {
        let mut fitting = 0;
        let mut furthest: Option<(usize, Stop)> = None;
        for node in forms {
            match self.node(*node, value, at) {
                Ok(()) if !is_only => return Ok(()),
                Ok(()) => fitting += 1,
                Err(Stop::TooCostly) => return Err(Stop::TooCostly),
                Err(Stop::Misfit { depth, at, why }) => {
                    if furthest.as_ref().is_none_or(|(known, _)| depth > *known) {
                        furthest = Some((depth, Stop::Misfit { depth, at, why }));
                    }
                }
            }
        }
        match (fitting, furthest) {
            (1, _) => Ok(()),
            (0, Some((depth, stop))) if depth > at.depth() || forms.len() == 1 => Err(stop),
            (0, _) => misfit(at, format!("it has none of the {} forms that it may have", forms.len())),
            _ => misfit(at, format!("it has {fitting} forms at once and may have one")),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Number(number) if name == "integer" => {
            number.as_f64().is_some_and(|float| float.fract() == 0.0)
        }
        value => kind(value) == name,
    }
}
