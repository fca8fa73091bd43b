//! The contract as Rust: what the files in `wit/` say, and nothing else.
//!
//! Owns the generated code. Never a place to write in.

#![expect(missing_docs, reason = "the WIT documents its items; modules and macros made of it carry no text")]
#![expect(unreachable_pub, reason = "generated code does not know who uses it")]

/// All imports. Those that a plugin does not call are not in its component.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        additional_derives: [PartialEq, Eq],
    });
}

/// The bindings of a world with exports; what it imports is the same in all.
macro_rules! exports_of {
    ($world:literal, $module:literal) => {
        wit_bindgen::generate!({
            path: "../../wit",
            world: $world,
            pub_export_macro: true,
            default_bindings_module: $module,
            with: {
                "sublane:plugin/types@0.1.0": crate::bindings::imports::sublane::plugin::types,
                "sublane:plugin/subagent@0.1.0": crate::bindings::imports::sublane::plugin::subagent,
                "sublane:plugin/tools@0.1.0": crate::bindings::imports::sublane::plugin::tools,
                "sublane:plugin/progress@0.1.0": crate::bindings::imports::sublane::plugin::progress,
                "sublane:plugin/delivery@0.1.0": crate::bindings::imports::sublane::plugin::delivery,
                "sublane:plugin/artifact@0.1.0": crate::bindings::imports::sublane::plugin::artifact,
                "sublane:plugin/kv@0.1.0": crate::bindings::imports::sublane::plugin::kv,
                "sublane:plugin/files@0.1.0": crate::bindings::imports::sublane::plugin::files,
                "sublane:plugin/http@0.1.0": crate::bindings::imports::sublane::plugin::http,
                "sublane:plugin/secret@0.1.0": crate::bindings::imports::sublane::plugin::secret,
                "sublane:plugin/timer@0.1.0": crate::bindings::imports::sublane::plugin::timer,
                "sublane:plugin/wait@0.1.0": crate::bindings::imports::sublane::plugin::wait,
                "sublane:plugin/hook@0.1.0": crate::bindings::imports::sublane::plugin::hook,
                "sublane:plugin/poll@0.1.0": crate::bindings::imports::sublane::plugin::poll,
                "sublane:plugin/journal@0.1.0": crate::bindings::imports::sublane::plugin::journal,
                "sublane:plugin/log@0.1.0": crate::bindings::imports::sublane::plugin::log,
                "sublane:plugin/clock@0.1.0": crate::bindings::imports::sublane::plugin::clock,
                "sublane:plugin/random@0.1.0": crate::bindings::imports::sublane::plugin::random,
            },
        });
    };
}

/// The export of a plugin with agents.
pub mod agent {
    exports_of!("agent", "sublane_sdk::__private::agent");
}

/// The export of a plugin with tools.
pub mod toolbox {
    exports_of!("toolbox", "sublane_sdk::__private::toolbox");
}
