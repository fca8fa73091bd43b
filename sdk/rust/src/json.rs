//! JSON in and out of the contract's strings.
//!
//! Owns the words for what does not fit. Never a limit: the host has those.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The value as JSON text. `what` names it in the error.
pub(crate) fn to_text<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(format!("{what} is no JSON: {error}")))
}

/// The text as a value. `what` names it in the error.
pub(crate) fn from_text<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{what} is not as expected: {error}"))
}

/// The JSON Schema (2020-12) of what is read as a `T`.
pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    // It is the name of a Rust type, which says nothing to people and models.
    schema.remove("title");
    schema
}
