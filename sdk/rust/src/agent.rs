//! An agent: from a task to an output.
//!
//! Owns the reading of the input and the making of the output.
//! Never decides what is delivered to whom.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::artifact::Artifact;
use crate::bindings::imports::sublane::plugin::types as raw;
use crate::failure::Failure;
use crate::json;

/// What can be run as a sub-agent. [`#[agent]`](macro@crate::agent) implements
/// it for a type that has the name of the function.
pub trait Agent {
    /// 1 to 64 of `a-z`, `0-9`, `-`; unique in the plugin.
    const NAME: &'static str;
    /// What it does, for people and models. At most 4 KiB.
    const DESCRIPTION: &'static str;
    /// JSON Schema (2020-12) of its input.
    fn input_schema() -> String;
    /// Does the task.
    #[doc(hidden)]
    fn run(task: raw::Task) -> Result<raw::Output, raw::Failure>;
}

/// What an agent's function can take: any type that can be read from JSON and
/// has a schema, or a [`Task`] of one when files go with it.
pub trait TaskInput: Sized {
    /// The type that is read from the task's JSON.
    type Value: DeserializeOwned + JsonSchema;
    /// Puts value and files together.
    fn from_parts(value: Self::Value, artifacts: Vec<Artifact>) -> Self;
}

impl<T: DeserializeOwned + JsonSchema> TaskInput for T {
    type Value = T;
    fn from_parts(value: T, _: Vec<Artifact>) -> Self {
        value
    }
}

/// An input together with the files that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task<T> {
    /// The input.
    pub input: T,
    /// Files to read through [`artifact::open`](crate::artifact::open). At most 32.
    pub artifacts: Vec<Artifact>,
}

impl<T: DeserializeOwned + JsonSchema> TaskInput for Task<T> {
    type Value = T;
    fn from_parts(input: T, artifacts: Vec<Artifact>) -> Self {
        Self { input, artifacts }
    }
}

/// What an agent gives back: a value, a sentence for people, files.
///
/// Where a value is enough, an agent's function can give back the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Output {
    value: Result<String, String>,
    text: Option<String>,
    artifacts: Vec<Artifact>,
}

impl Output {
    /// An output for whoever waits for the run. People see a string as it is,
    /// and for other values a text that the host writes.
    pub fn value(value: &(impl Serialize + ?Sized)) -> Self {
        let value = json::to_text("the output", value).map_err(|error| error.to_string());
        Self { value, text: None, artifacts: Vec::new() }
    }

    /// An output for people, at most 16 KiB. It is the value, too.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::value(text.as_ref())
    }

    /// The same output with this sentence for people, at most 16 KiB.
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// The same output with one more file, delivered as a link. At most 32.
    pub fn with_artifact(mut self, artifact: Artifact) -> Self {
        self.artifacts.push(artifact);
        self
    }
}

/// What an agent's function can give back: an [`Output`], or any value that
/// can be written as JSON.
pub trait IntoOutput {
    /// The output.
    fn into_output(self) -> Output;
}

impl IntoOutput for Output {
    fn into_output(self) -> Output {
        self
    }
}

impl<T: Serialize> IntoOutput for T {
    fn into_output(self) -> Output {
        Output::value(&self)
    }
}

/// The input of an agent that takes none.
#[doc(hidden)]
#[derive(Debug)]
pub struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self)
    }
}

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Anything".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::default()
    }
}

#[doc(hidden)]
pub fn agent_schema<I: TaskInput>() -> String {
    json::schema_of::<I::Value>().as_value().to_string()
}

#[doc(hidden)]
pub fn run_agent<I: TaskInput, O: IntoOutput, E: Into<Failure>>(
    task: raw::Task,
    agent: impl FnOnce(I) -> Result<O, E>,
) -> Result<raw::Output, raw::Failure> {
    let run = || -> Result<raw::Output, Failure> {
        // The same task is of the same shape when it is tried again.
        let permanent = |why: String| Failure::new(why).permanent();
        let value = json::from_text("the input", &task.input).map_err(permanent)?;
        let output = agent(I::from_parts(value, task.artifacts)).map_err(Into::into)?.into_output();
        Ok(raw::Output { value: output.value?, text: output.text, artifacts: output.artifacts })
    };
    run().map_err(Failure::into_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(input: &str) -> raw::Task {
        raw::Task { input: input.to_owned(), artifacts: vec![film()] }
    }

    fn film() -> Artifact {
        Artifact { id: "0".repeat(64), name: "f.mp4".to_owned(), media_type: "video/mp4".to_owned(), size: 9 }
    }

    #[test]
    fn a_value_goes_in_and_a_value_comes_out() {
        let output = run_agent(task("[1,2,3]"), |numbers: Vec<u32>| Ok::<_, Failure>(numbers.len()));
        let expected = raw::Output { value: "3".to_owned(), text: None, artifacts: Vec::new() };
        assert_eq!(output, Ok(expected));
    }

    #[test]
    fn files_come_with_a_task_and_go_with_an_output() {
        let output = run_agent(task("true"), |task: Task<bool>| {
            let [file] = task.artifacts.try_into().map_err(|_| "one file goes with it")?;
            Ok::<_, Failure>(Output::value(&task.input).with_text("Done.").with_artifact(file))
        });
        let expected =
            raw::Output { value: "true".to_owned(), text: Some("Done.".to_owned()), artifacts: vec![film()] };
        assert_eq!(output, Ok(expected));
    }

    #[test]
    fn an_input_of_another_shape_is_a_failure_that_says_so() {
        let failure =
            run_agent(task("\"one\""), |number: u32| Ok::<_, Failure>(number)).expect_err("a string");
        assert!(
            failure.message.starts_with("the input is not as expected: invalid type: string"),
            "{failure:?}"
        );
        assert!(!failure.retryable);
    }

    #[test]
    fn an_agent_without_input_takes_anything() {
        for input in ["null", "{}", "[1]"] {
            assert!(run_agent(task(input), |_: Anything| Ok::<_, Failure>(())).is_ok(), "{input}");
        }
        assert_eq!(
            agent_schema::<Anything>(),
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema"}"#
        );
    }

    #[test]
    fn a_schema_carries_the_documentation() {
        /// Whom to greet.
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        struct Greeting {
            /// A name.
            name: String,
        }
        let schema: serde_json::Value =
            serde_json::from_str(&agent_schema::<Task<Greeting>>()).expect("a schema is JSON");
        assert_eq!(schema["description"], "Whom to greet.");
        assert_eq!(schema["properties"]["name"]["description"], "A name.");
        assert_eq!(schema["required"][0], "name");
        assert!(schema.get("title").is_none());
    }
}
