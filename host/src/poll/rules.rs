//! What holds of an answer: its status, and values in its JSON by JSONPath (RFC 9535).
//!
//! Owns what a path may be. A plan and the answer are strangers' both, so a path is one that costs no
//! more than a walk through the answer.

use serde_json::Value;
use serde_json_path::JsonPath;
use sublane_core::poll::{MAX_PATH_BYTES, Rule, Test};

/// Conditions of all rules of a plan.
pub(crate) const MAX_CONDITIONS: usize = 32;
/// Characters that people are shown of what was seen.
const SHOWN: usize = 200;

/// Whether a path may be asked for.
///
/// # Errors
/// What is wrong with it, for the guest.
pub(crate) fn check(path: &str) -> Result<(), String> {
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("a path has {} bytes; at most {MAX_PATH_BYTES} may be asked for", path.len()));
    }
    let (mut quote, mut descents) = (None, 0);
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '?') => return Err(format!("`{path}` has a filter, whose cost has no bound")),
            (None, ',') => return Err(format!("`{path}` has a list of selectors: name them in conditions")),
            (None, '.') if characters.next_if_eq(&'.').is_some() => descents += 1,
            _ => {}
        }
    }
    if descents > 1 {
        return Err(format!("`{path}` has more than one `..`, whose cost has no bound"));
    }
    JsonPath::parse(path).map(drop).map_err(|error| format!("`{path}` is no JSONPath: {error}"))
}

/// An answer that rules are asked about.
pub(super) struct Answer<'p> {
    status: u16,
    /// Its body, if it is JSON.
    json: Option<Value>,
    /// The rules' paths, each once, in their order. None finds anything where there is no JSON.
    paths: Vec<(&'p str, Option<JsonPath>)>,
}

/// Whether two values are the same JSON; numbers are compared by what they say.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // Whole numbers exactly: as floating-point numbers large ones are the same as their neighbours.
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

impl<'p> Answer<'p> {
    pub(super) fn new(status: u16, body: &[u8], rules: impl Iterator<Item = &'p Rule>) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let mut paths: Vec<(&str, _)> = Vec::new();
        for condition in rules.flat_map(|rule| &rule.values) {
            if !paths.iter().any(|(path, _)| *path == condition.path) {
                let parsed = json.as_ref().and_then(|_| JsonPath::parse(&condition.path).ok());
                paths.push((&condition.path, parsed));
            }
        }
        Self { status, json, paths }
    }

    fn at(&self, path: &str) -> Vec<&Value> {
        let path = self.paths.iter().find(|(other, _)| *other == path).and_then(|(_, path)| path.as_ref());
        path.zip(self.json.as_ref()).map_or_else(Vec::new, |(path, json)| path.query(json).all())
    }

    /// Whether a rule holds, its number of times aside.
    pub(super) fn meets(&self, rule: &Rule) -> bool {
        (rule.status.0..=rule.status.1).contains(&self.status)
            && rule.values.iter().all(|condition| {
                let found = self.at(&condition.path);
                match &condition.test {
                    Test::Exists => !found.is_empty(),
                    Test::OneOf(values) => {
                        found.iter().any(|found| values.iter().any(|value| same(found, value)))
                    }
                }
            })
    }

    /// What is seen of it, for people: its status, and the values that the plan asks about.
    pub(super) fn said(&self) -> String {
        let mut said = self.status.to_string();
        if self.json.is_none() && !self.paths.is_empty() {
            said.push_str(", no JSON");
        }
        for (path, _) in &self.paths {
            if let Some(value) = self.at(path).first() {
                said.push_str(&format!(", {path} = {value}"));
            }
            if said.len() > SHOWN {
                break;
            }
        }
        said.chars().take(SHOWN).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sublane_core::poll::Condition;

    fn meets(body: Value, path: &str, test: Test) -> bool {
        check(path).expect("a path");
        let values = vec![Condition { path: path.to_owned(), test }];
        let rule = Rule { status: (200, 299), values, times: 1 };
        Answer::new(200, body.to_string().as_bytes(), [&rule].into_iter()).meets(&rule)
    }

    fn is(value: Value) -> Test {
        Test::OneOf(vec![value])
    }

    #[test]
    fn values_are_found_and_compared() {
        let body =
            || json!({"status": "done", "n": 1, "jobs": [{"state": "a"}, {"state": "b"}], "none": null});
        assert!(meets(body(), "$.status", is(json!("done"))));
        assert!(!meets(body(), "$.status", is(json!("DONE"))));
        assert!(meets(body(), "$.n", is(json!(1.0))), "numbers are compared by what they say");
        assert!(!meets(body(), "$.n", is(json!("1"))));
        let id = 9_007_199_254_740_992_u64;
        assert!(meets(json!({ "id": id }), "$.id", is(json!(id))));
        assert!(!meets(json!({ "id": id }), "$.id", is(json!(id + 1))), "no float is between them");
        assert!(meets(body(), "$.jobs[1].state", is(json!("b"))));
        assert!(meets(body(), "$.jobs[*].state", is(json!("b"))), "one of those that are found");
        assert!(meets(body(), "$..state", Test::OneOf(vec![json!("x"), json!("a")])));
        assert!(meets(body(), "$.none", Test::Exists), "null is a value");
        assert!(!meets(body(), "$.nobody", Test::Exists));
        assert!(meets(body(), "$['status']", Test::Exists));
    }

    #[test]
    fn paths_that_could_cost_too_much_are_refused() {
        for path in ["$[?@.a]", "$..a..b", "$..*..*", "$[0,0]", "$['a','b']", "$[?$..*]"] {
            check(path).expect_err(path);
        }
        for path in ["", "status", "$.", "$[", "$['a", &format!("$.{}", "a".repeat(300))] {
            check(path).expect_err(path);
        }
        for path in ["$", "$.a.b", "$['a, b?..c..d']", r#"$["\",?"]"#, "$[-1]", "$[1:9:2]", "$.*", "$..a[*]"]
        {
            check(path).unwrap_or_else(|why| panic!("{why}"));
        }
    }

    #[test]
    fn the_longest_walk_is_through_the_answer_once() {
        // As much as an answer can hold, and a path that finds all of it.
        let body = json!({ "a": vec![0; 120_000] });
        let exists = |path: &str| Condition { path: path.to_owned(), test: Test::Exists };
        let rule = Rule { status: (200, 200), values: vec![exists("$..*"), exists("$..*[*]")], times: 1 };
        let answer = Answer::new(200, body.to_string().as_bytes(), [&rule].into_iter());
        assert_eq!(answer.at("$..*").len(), 120_001);
        assert_eq!(answer.at("$..*[*]").len(), 120_000);
    }
}
