//! The code that `wit-bindgen` makes of `wit/`: the only place where generated code lives.
//!
//! The imports are generated once, for the world that all three worlds include, so that a request built for a runner and
//! one built for a collector have the same type.
#![allow(missing_docs, unsafe_code, unused_qualifications, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "capabilities",
    generate_all,
    additional_derives: [PartialEq, Clone],
    default_bindings_module: "kperf_plugin_sdk::bindings",
    pub_export_macro: true,
});

/// The exports of a world; everything else is taken from above.
macro_rules! world {
    ($module:ident, $world:tt, $exports:tt, $path:tt) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                with: {
                    "kperf:plugin/types@0.1.0": crate::bindings::kperf::plugin::types,
                    "kperf:plugin/http@0.1.0": crate::bindings::kperf::plugin::http,
                    "kperf:plugin/metrics@0.1.0": crate::bindings::kperf::plugin::metrics,
                    "kperf:plugin/clock@0.1.0": crate::bindings::kperf::plugin::clock,
                    "kperf:plugin/log@0.1.0": crate::bindings::kperf::plugin::log,
                    "kperf:plugin/artifacts@0.1.0": crate::bindings::kperf::plugin::artifacts,
                    "kperf:plugin/random@0.1.0": crate::bindings::kperf::plugin::random,
                    "kperf:plugin/ledger@0.1.0": crate::bindings::kperf::plugin::ledger,
                    "kperf:plugin/records@0.1.0": crate::bindings::kperf::plugin::records,
                    "kperf:plugin/delivery@0.1.0": crate::bindings::kperf::plugin::delivery,
                    "kperf:plugin/notes@0.1.0": crate::bindings::kperf::plugin::notes,
                    $exports: generate,
                },
                additional_derives: [PartialEq, Clone],
                default_bindings_module: $path,
                pub_export_macro: true,
            });
        }
    };
}

world!(runner, "runner", "kperf:plugin/runner-api@0.1.0", "kperf_plugin_sdk::bindings::runner");
world!(collector, "collector", "kperf:plugin/collector-api@0.1.0", "kperf_plugin_sdk::bindings::collector");
world!(reporter, "reporter", "kperf:plugin/reporter-api@0.1.0", "kperf_plugin_sdk::bindings::reporter");
