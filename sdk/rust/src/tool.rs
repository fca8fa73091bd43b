//! A tool: from arguments to a result.
//!
//! Owns the reading of the arguments and the writing of the result.
//! Never does long work: it spawns it.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::json;

/// A tool that a plugin offers. [`#[tool]`](macro@crate::tool) implements it
/// for a type that has the name of the function.
pub trait Tool {
    /// 1 to 64 of `a-z`, `0-9`, `_`; unique in the plugin.
    const NAME: &'static str;
    /// What it does, for people and models. At most 4 KiB.
    const DESCRIPTION: &'static str;
    /// JSON Schema (2020-12) of its arguments, which are an object.
    fn input_schema() -> String;
    /// Does it, from JSON to JSON. An error is a message for whoever called.
    #[doc(hidden)]
    fn call(arguments: String) -> Result<String, String>;
}

/// The arguments of a tool that takes none.
#[doc(hidden)]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NoArguments {}

#[doc(hidden)]
pub fn tool_schema<A: JsonSchema>() -> String {
    json::schema_of::<A>().as_value().to_string()
}

#[doc(hidden)]
pub fn call_tool<A: DeserializeOwned, R: Serialize, E: Into<Failure>>(
    arguments: String,
    tool: impl FnOnce(A) -> Result<R, E>,
) -> Result<String, String> {
    let arguments = json::from_text("what was given", &arguments)?;
    let result = tool(arguments).map_err(|error| error.into().message().to_owned())?;
    json::to_text("the result", &result).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Sum {
        a: u32,
        b: u32,
    }

    fn sum(sum: Sum) -> Result<u32, String> {
        sum.a.checked_add(sum.b).ok_or_else(|| "that is too much".to_owned())
    }

    fn check(arguments: &str, expected: Result<&str, &str>) {
        let found = call_tool(arguments.to_owned(), sum);
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn arguments_go_in_and_a_result_comes_out() {
        check(r#"{"a":1,"b":2}"#, Ok("3"));
    }

    #[test]
    fn errors_are_messages() {
        check(r#"{"a":1,"b":4294967295}"#, Err("that is too much"));
        check(r#"{"a":1}"#, Err("what was given is not as expected: missing field `b` at line 1 column 7"));
    }

    #[test]
    fn the_schema_is_an_objects() {
        assert!(tool_schema::<Sum>().contains(r#""type":"object""#));
        assert!(tool_schema::<NoArguments>().contains(r#""type":"object""#));
    }
}
