//! Plans for tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kperf_plugin::{Engine, EngineConfig};
use kperf_suite::{LoadOptions, Source};

use crate::input::SuiteInput;
use crate::plan::{Lookup, Plan};

/// The plan of a suite without its plugins and kubeconfigs.
pub(crate) fn plan(text: &str, lookup: Lookup) -> Plan {
    let options = LoadOptions { environment: None, sets: &[], lookup: &lookup };
    let suite = kperf_suite::load(Source { name: "suite.toml", text }, &options)
        .unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(false)));
    Plan {
        suite,
        folder: PathBuf::from("."),
        scenarios: Vec::new(),
        thresholds: Vec::new(),
        collectors: Vec::new(),
        natives: Vec::new(),
        reporters: Vec::new(),
        clusters: BTreeMap::new(),
        lookup,
    }
}

/// A suite whose plugins can be loaded, on a machine with two cores.
pub(crate) fn input(text: &str) -> SuiteInput {
    SuiteInput {
        name: "suite.toml".to_owned(),
        text: text.to_owned(),
        folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        environment: None,
        sets: Vec::new(),
        lookup: |_| None,
        engine: Engine::new(&EngineConfig { cache: None }).unwrap(),
        cores: 2,
        workers: None,
        allow_native: false,
    }
}
