//! The generated bindings of the contract in `wit/`, and nothing else: the only generated code of the crate.
//!
//! The capabilities are generated once, in [`capabilities`]; the three worlds share their types, so that one
//! implementation of a capability serves runners, collectors and reporters.

/// The capabilities and the shared types.
pub mod capabilities {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "capabilities",
        imports: {
            "kperf:plugin/random": store,
            // A word that can't be written down ends the call.
            "kperf:plugin/ledger": trappable,
        },
    });
}

/// The runner's exports.
pub mod runner {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "runner",
        with: { "kperf:plugin": super::capabilities::kperf::plugin },
        exports: { default: async },
    });
}

/// The collector's exports.
pub mod collector {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "collector",
        with: { "kperf:plugin": super::capabilities::kperf::plugin },
        exports: { default: async },
    });
}

/// The reporter's exports.
pub mod reporter {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "reporter",
        with: { "kperf:plugin": super::capabilities::kperf::plugin },
        exports: { default: async },
    });
}

pub use capabilities::kperf::plugin::{
    artifacts, clock, delivery, http, ledger, log, metrics, notes, random, records, types,
};
