//! The ABI, as Wasmtime's macro reads it from `wit/`.
//!
//! WIT types stop at the edge: `imports` translates them to the core's types
//! and back, and nothing else in the host names them.
#![expect(missing_docs, reason = "generated; the WIT is the documentation")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "imports",
    imports: {
        "sublane:plugin/log": trappable,
        "sublane:plugin/clock": trappable,
        "sublane:plugin/random": trappable,
        "sublane:plugin/progress": trappable,
        "sublane:plugin/artifact.[method]reader.size": trappable,
        default: async | trappable,
    },
    with: {
        "sublane:plugin/artifact.writer": crate::imports::artifact::Writer,
        "sublane:plugin/artifact.reader": crate::imports::artifact::Reader,
    },
    require_store_data_send: true,
});

/// The bindings of a world with exports; what it imports is the same in all.
macro_rules! exports_of {
    ($world:literal) => {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: $world,
            imports: { default: async | trappable },
            exports: { default: async },
            with: {
                "sublane:plugin/types": crate::bindings::sublane::plugin::types,
                "sublane:plugin/subagent": crate::bindings::sublane::plugin::subagent,
                "sublane:plugin/tools": crate::bindings::sublane::plugin::tools,
                "sublane:plugin/progress": crate::bindings::sublane::plugin::progress,
                "sublane:plugin/delivery": crate::bindings::sublane::plugin::delivery,
                "sublane:plugin/artifact": crate::bindings::sublane::plugin::artifact,
                "sublane:plugin/kv": crate::bindings::sublane::plugin::kv,
                "sublane:plugin/files": crate::bindings::sublane::plugin::files,
                "sublane:plugin/http": crate::bindings::sublane::plugin::http,
                "sublane:plugin/secret": crate::bindings::sublane::plugin::secret,
                "sublane:plugin/timer": crate::bindings::sublane::plugin::timer,
                "sublane:plugin/wait": crate::bindings::sublane::plugin::wait,
                "sublane:plugin/hook": crate::bindings::sublane::plugin::hook,
                "sublane:plugin/poll": crate::bindings::sublane::plugin::poll,
                "sublane:plugin/journal": crate::bindings::sublane::plugin::journal,
                "sublane:plugin/log": crate::bindings::sublane::plugin::log,
                "sublane:plugin/clock": crate::bindings::sublane::plugin::clock,
                "sublane:plugin/random": crate::bindings::sublane::plugin::random,
            },
            require_store_data_send: true,
        });
    };
}

/// What a plugin with agents exports.
pub mod agent {
    exports_of!("agent");
}

/// What a plugin with tools exports.
pub mod toolbox {
    exports_of!("toolbox");
}

/// What the host does of WASI 0.2. The rest is linked without bindings: `imports/wasi/denied.rs`.
pub mod wasi {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "served",
        imports: {
            "wasi:io/poll.poll": async | trappable,
            "wasi:io/poll.[method]pollable.block": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io/error.error": crate::imports::wasi::stream::Never,
            "wasi:io/poll.pollable": crate::imports::wasi::poll::Pollable,
            "wasi:io/streams.input-stream": crate::imports::wasi::stream::Stdin,
            "wasi:io/streams.output-stream": crate::imports::wasi::stream::Output,
        },
        require_store_data_send: true,
    });
}
