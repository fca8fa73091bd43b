//! `plugin!`: what a component exports.
//!
//! Owns the two entries of the contract. Never exports one that the plugin has
//! nothing for: a host reads from the exports what a plugin is.

use crate::agent::Agent;
use crate::bindings::agent::exports::sublane::plugin::agent_entry::AgentDefinition;
use crate::bindings::imports::sublane::plugin::types::Failure;
use crate::bindings::toolbox::exports::sublane::plugin::tools_entry::ToolDefinition;
use crate::tool::Tool;

/// Says which agents and tools the plugin has. Once in a crate, with
/// `agents: [...]`, `tools: [...]`, or both in this order.
///
/// ```
/// use sublane_sdk::{Failure, agent, data, plugin, tool};
///
/// /// Counts the words of a text.
/// #[agent]
/// fn count_words(text: String) -> Result<usize, Failure> {
///     Ok(text.split_whitespace().count())
/// }
///
/// /// Two numbers.
/// #[data]
/// struct Numbers {
///     a: u32,
///     b: u32,
/// }
///
/// /// Adds two numbers.
/// #[tool]
/// fn add(numbers: Numbers) -> Result<u32, String> {
///     numbers.a.checked_add(numbers.b).ok_or_else(|| "that is too much".to_owned())
/// }
///
/// plugin!(agents: [count_words], tools: [add]);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! plugin {
    (agents: [$($agent:path),+ $(,)?] $(,)?) => {
        $crate::__agents!($($agent),+);
    };
    (tools: [$($tool:path),+ $(,)?] $(,)?) => {
        $crate::__tools!($($tool),+);
    };
    (agents: [$($agent:path),+ $(,)?], tools: [$($tool:path),+ $(,)?] $(,)?) => {
        $crate::__agents!($($agent),+);
        $crate::__tools!($($tool),+);
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "a plugin has agents, tools or both: `plugin!(agents: [hello], tools: [add]);`"
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __agents {
    ($($agent:path),+) => {
        const _: () = {
            const _: () = $crate::__private::assert_distinct(&[$(<$agent as $crate::Agent>::NAME),+]);

            #[allow(dead_code)]
            enum Plugin {}

            impl $crate::__private::agent::exports::sublane::plugin::agent_entry::Guest for Plugin {
                fn list_agents() -> ::std::vec::Vec<
                    $crate::__private::agent::exports::sublane::plugin::agent_entry::AgentDefinition,
                > {
                    $crate::__private::entered();
                    ::std::vec![$($crate::__private::agent_definition::<$agent>()),+]
                }
                fn run(
                    agent: ::std::string::String,
                    task: $crate::__private::RawTask,
                ) -> ::std::result::Result<$crate::__private::RawOutput, $crate::__private::RawFailure> {
                    $crate::__private::entered();
                    $(if agent == <$agent as $crate::Agent>::NAME {
                        return <$agent as $crate::Agent>::run(task);
                    })+
                    ::std::result::Result::Err($crate::__private::no_such_agent(&agent))
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__private::agent::export!(Plugin with_types_in $crate::__private::agent);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tools {
    ($($tool:path),+) => {
        const _: () = {
            const _: () = $crate::__private::assert_distinct(&[$(<$tool as $crate::Tool>::NAME),+]);

            #[allow(dead_code)]
            enum Plugin {}

            impl $crate::__private::toolbox::exports::sublane::plugin::tools_entry::Guest for Plugin {
                fn list_tools() -> ::std::vec::Vec<
                    $crate::__private::toolbox::exports::sublane::plugin::tools_entry::ToolDefinition,
                > {
                    $crate::__private::entered();
                    ::std::vec![$($crate::__private::tool_definition::<$tool>()),+]
                }
                fn call_tool(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, ::std::string::String> {
                    $crate::__private::entered();
                    $(if name == <$tool as $crate::Tool>::NAME {
                        return <$tool as $crate::Tool>::call(arguments);
                    })+
                    ::std::result::Result::Err($crate::__private::no_such_tool(&name))
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__private::toolbox::export!(Plugin with_types_in $crate::__private::toolbox);
        };
    };
}

#[doc(hidden)]
pub fn agent_definition<A: Agent>() -> AgentDefinition {
    AgentDefinition {
        name: A::NAME.to_owned(),
        description: A::DESCRIPTION.to_owned(),
        input_schema: A::input_schema(),
    }
}

#[doc(hidden)]
pub fn tool_definition<T: Tool>() -> ToolDefinition {
    ToolDefinition {
        name: T::NAME.to_owned(),
        description: T::DESCRIPTION.to_owned(),
        input_schema: T::input_schema(),
    }
}

#[doc(hidden)]
pub fn no_such_agent(name: &str) -> Failure {
    Failure { message: format!("this plugin has no agent `{name}`"), retryable: false }
}

#[doc(hidden)]
pub fn no_such_tool(name: &str) -> String {
    format!("this plugin has no tool `{name}`")
}

/// Refuses, while compiling, two agents or two tools of one name.
#[doc(hidden)]
pub const fn assert_distinct(names: &[&str]) {
    let mut i = 0;
    while i < names.len() {
        let mut j = i + 1;
        while j < names.len() {
            assert!(!same(names[i].as_bytes(), names[j].as_bytes()), "two of them have the same name");
            j += 1;
        }
        i += 1;
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        assert_distinct(&["render", "rende", "r", "reader"]);
    }

    #[test]
    fn two_of_one_name_are_refused_with_a_reason() {
        let refused = std::panic::catch_unwind(|| assert_distinct(&["render", "draw", "render"]));
        let reason = refused.expect_err("two of them are `render`").downcast::<&str>();
        assert_eq!(*reason.expect("a fixed text"), "two of them have the same name");
    }
}
