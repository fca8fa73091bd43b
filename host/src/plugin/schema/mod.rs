//! What the input of an agent or a tool looks like: its JSON Schema, read once and ready to check.
//!
//! Owns the reading of schemas, their bounds, and which words of 2020-12 are checked. Schemas are
//! strangers' and so is what is checked against them: patterns are matched in linear time, every
//! check has a number of steps, and nothing is ever fetched.

mod check;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use check::{MAX_STEPS, Unfit};

/// Bytes of a schema as JSON text.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;
/// How deep a schema's values may be nested.
pub const MAX_SCHEMA_DEPTH: usize = 64;
/// Patterns of a schema.
pub const MAX_PATTERNS: usize = 16;
/// Bytes of one compiled pattern.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// A JSON Schema that inputs are checked against. Cheap to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Schema(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: Value,
    /// The first is the root's.
    nodes: Vec<Rules>,
}

/// The place of a subschema in [`Compiled::nodes`].
type Node = usize;

/// What one subschema says. What it does not say is left out.
#[derive(Debug, Default)]
struct Rules {
    /// `false`: nothing fits.
    is_never: bool,
    types: Vec<String>,
    /// `enum` and `const`, each value in its one form.
    values: Vec<Vec<String>>,
    pattern: Option<Regex>,
    /// Numbers by their keyword, such as `minLength`.
    bounds: Vec<(&'static str, f64)>,
    required: Vec<String>,
    dependent_required: Vec<(String, Vec<String>)>,
    properties: HashMap<String, Node>,
    pattern_properties: Vec<(Option<Regex>, Node)>,
    additional: Option<Node>,
    names: Option<Node>,
    prefix: Vec<Node>,
    items: Option<Node>,
    contains: Option<Node>,
    is_unique: bool,
    /// `allOf` and `$ref`.
    all: Vec<Node>,
    any: Vec<Node>,
    one: Vec<Node>,
    not: Option<Node>,
    condition: Option<Node>,
    then: Option<Node>,
    otherwise: Option<Node>,
    dependent: Vec<(String, Node)>,
}

/// Keywords that bound a number, a length or a count.
const BOUNDS: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
];

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(source: Value) -> Result<Self, String> {
        let bytes = source.to_string().len();
        if bytes > MAX_SCHEMA_BYTES {
            return Err(format!("it has {bytes} bytes; at most {MAX_SCHEMA_BYTES} may be used"));
        }
        if depth(&source) > MAX_SCHEMA_DEPTH {
            return Err(format!("it is nested more than {MAX_SCHEMA_DEPTH} deep"));
        }
        let mut reader = Reader { source: &source, known: HashMap::new(), places: Vec::new(), patterns: 0 };
        reader.at(String::new());
        let mut nodes = Vec::new();
        while let Some(place) = reader.places.get(nodes.len()).cloned() {
            let rules = reader.rules(&place);
            nodes.push(rules.map_err(|why| format!("at `{}`: {why}", text::shown(&place)))?);
        }
        Ok(Self(Arc::new(Compiled { source, nodes })))
    }

    /// Whether everything fits: then [`Self::check`] does not even read it.
    #[must_use]
    pub fn fits_all(&self) -> bool {
        self.0.nodes[0].is_nothing()
    }

    /// Checks a JSON text. `what` names it in the answer.
    ///
    /// # Errors
    /// [`Unfit`] says where it does not fit, or that it takes too long to say.
    pub fn check(&self, what: &str, json: &str) -> Result<(), Unfit> {
        if self.fits_all() {
            return Ok(());
        }
        let value = serde_json::from_str(json)
            .map_err(|error| Unfit::Invalid(format!("{what} is not JSON: {error}")))?;
        check::check(&self.0.nodes, what, &value)
    }
}

impl TryFrom<Value> for Schema {
    type Error = String;

    fn try_from(source: Value) -> Result<Self, String> {
        Self::new(source)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        schema.0.source.clone()
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.source.fmt(f)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Schema {}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Walks a schema without recursion: places that are named and not read yet wait in a list.
struct Reader<'s> {
    source: &'s Value,
    known: HashMap<String, Node>,
    places: Vec<String>,
    patterns: usize,
}

impl Reader<'_> {
    /// The node of the subschema at this JSON pointer.
    fn at(&mut self, place: String) -> Node {
        if let Some(node) = self.known.get(&place) {
            return *node;
        }
        let node = self.places.len();
        self.places.push(place.clone());
        self.known.insert(place, node);
        node
    }

    fn rules(&mut self, place: &str) -> Result<Rules, String> {
        let members = match self.source.pointer(place) {
            None => return Err("there is no such subschema".to_owned()),
            Some(Value::Bool(is_all)) => return Ok(Rules { is_never: !is_all, ..Rules::default() }),
            Some(Value::Object(members)) => members,
            Some(_) => return Err("a schema is an object, `true` or `false`".to_owned()),
        };
        let mut rules = Rules {
            types: types(members)?,
            required: names(members.get("required"), "required")?,
            is_unique: members.get("uniqueItems") == Some(&Value::Bool(true)),
            ..Rules::default()
        };
        if let Some(Value::Array(values)) = members.get("enum") {
            rules.values.push(values.iter().map(text::canonical).collect());
        }
        rules.values.extend(members.get("const").map(|value| vec![text::canonical(value)]));
        for keyword in BOUNDS {
            if let Some(bound) = members.get(keyword) {
                let number = bound.as_f64().ok_or_else(|| format!("`{keyword}` is no number"))?;
                rules.bounds.push((keyword, number));
            }
        }
        if let Some(Value::String(pattern)) = members.get("pattern") {
            rules.pattern = self.pattern(pattern)?;
        }
        self.applied(&mut rules, members, place)?;
        Ok(rules)
    }

    /// Everything that is a schema itself.
    fn applied(
        &mut self,
        rules: &mut Rules,
        members: &Map<String, Value>,
        place: &str,
    ) -> Result<(), String> {
        let mut one =
            |keyword: &str| members.contains_key(keyword).then(|| self.at(format!("{place}/{keyword}")));
        rules.additional = one("additionalProperties");
        rules.names = one("propertyNames");
        rules.items = one("items");
        rules.contains = one("contains");
        rules.not = one("not");
        rules.condition = one("if");
        rules.then = one("then");
        rules.otherwise = one("else");
        for (list, keyword) in [
            (&mut rules.prefix, "prefixItems"),
            (&mut rules.all, "allOf"),
            (&mut rules.any, "anyOf"),
            (&mut rules.one, "oneOf"),
        ] {
            match members.get(keyword) {
                None => {}
                Some(Value::Array(schemas)) => {
                    list.extend((0..schemas.len()).map(|n| self.at(format!("{place}/{keyword}/{n}"))));
                }
                Some(_) => return Err(format!("`{keyword}` is no list")),
            }
        }
        for name in keys(members, "properties")? {
            let node = self.at(format!("{place}/properties/{}", text::escaped(name)));
            rules.properties.insert(name.clone(), node);
        }
        for name in keys(members, "patternProperties")? {
            let node = self.at(format!("{place}/patternProperties/{}", text::escaped(name)));
            rules.pattern_properties.push((self.pattern(name)?, node));
        }
        for name in keys(members, "dependentSchemas")? {
            let node = self.at(format!("{place}/dependentSchemas/{}", text::escaped(name)));
            rules.dependent.push((name.clone(), node));
        }
        if let Some(Value::Object(dependent)) = members.get("dependentRequired") {
            for (name, needed) in dependent {
                rules.dependent_required.push((name.clone(), names(Some(needed), "dependentRequired")?));
            }
        }
        if let Some(reference) = members.get("$ref") {
            let target = reference.as_str().and_then(text::local).ok_or_else(|| {
                let shown = text::shown(&reference.to_string());
                format!("`$ref` is {shown}; it is `#`, or `#/` and a pointer into this schema")
            })?;
            rules.all.push(self.at(target));
        }
        Ok(())
    }

    /// `None`: not a regular expression (it looks around or back), so the plugin checks it itself.
    fn pattern(&mut self, pattern: &str) -> Result<Option<Regex>, String> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(format!("it has more than {MAX_PATTERNS} patterns"));
        }
        let built = regex::RegexBuilder::new(&text::ascii_classes(pattern))
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES)
            .build();
        match built {
            Ok(pattern) => Ok(Some(pattern)),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(format!("the pattern takes more than {MAX_PATTERN_BYTES} bytes"))
            }
            Err(_) => Ok(None),
        }
    }
}

fn types(members: &Map<String, Value>) -> Result<Vec<String>, String> {
    const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
    let types = match members.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        named => names(named, "type")?,
    };
    match types.iter().find(|name| !TYPES.contains(&name.as_str())) {
        Some(unknown) => Err(format!("there is no type `{}`", text::shown(unknown))),
        None => Ok(types),
    }
}

fn names(list: Option<&Value>, keyword: &str) -> Result<Vec<String>, String> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let names =
        list.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.ok_or_else(|| format!("`{keyword}` is no list of names"))
}

fn keys<'m>(members: &'m Map<String, Value>, keyword: &str) -> Result<Vec<&'m String>, String> {
    match members.get(keyword) {
        None => Ok(Vec::new()),
        Some(Value::Object(inner)) => Ok(inner.keys().collect()),
        Some(_) => Err(format!("`{keyword}` is no object")),
    }
}

impl Rules {
    /// Whether everything fits.
    fn is_nothing(&self) -> bool {
        !self.is_never
            && self.types.is_empty()
            && self.values.is_empty()
            && self.pattern.is_none()
            && self.bounds.is_empty()
            && self.required.is_empty()
            && self.dependent_required.is_empty()
            && self.properties.is_empty()
            && self.pattern_properties.is_empty()
            && self.prefix.is_empty()
            && !self.is_unique
            && [&self.all, &self.any, &self.one].iter().all(|list| list.is_empty())
            && self.dependent.is_empty()
            && [self.additional, self.names, self.items, self.contains, self.not, self.condition]
                .iter()
                .all(Option::is_none)
    }
}
