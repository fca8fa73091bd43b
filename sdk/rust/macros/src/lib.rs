//! The attribute macros of the Sublane SDK: `#[agent]`, `#[tool]` and `#[data]`.
//!
//! Owns the way from a function's signature and documentation to the
//! definition that a host asks for. Never exports anything from a component:
//! `sublane_sdk::plugin!` does, for the functions that it is given.

mod data;
mod entry;

use entry::Entry;
use proc_macro::TokenStream;

/// Makes an agent of a function.
///
/// The function takes its input, or nothing, and returns a `Result`. The
/// agent's name is the function's, with `-` for `_`; its description is the
/// function's documentation; the schema of its input comes from the input's
/// type. The function itself stays as it is and can be called and tested.
///
/// `#[agent(name = "...")]` gives another name: 1 to 64 of `a-z`, `0-9`, `-`.
#[proc_macro_attribute]
pub fn agent(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(&Entry::AGENT, arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a tool of a function.
///
/// The function takes its arguments as one struct, or nothing, and returns a
/// `Result`. The tool's name is the function's; its description is the
/// function's documentation; the schema of its arguments comes from their type.
/// The function itself stays as it is and can be called and tested.
///
/// `#[tool(name = "...")]` gives another name: 1 to 64 of `a-z`, `0-9`, `_`.
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(&Entry::TOOL, arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a type one that agents and tools can take and give back: it derives
/// `Serialize`, `Deserialize` and `JsonSchema`.
///
/// The attributes of serde and schemars work on it as ever. A crate that
/// depends on these two itself can just as well derive them.
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
