//! The parameters of a scenario.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{browsing::Pages, shape::Shape, split::By, tenant::TenantParams};

/// The parameters of all modes; which of them a mode has, its schema says. The host fills in the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    #[serde(flatten)]
    pub tenants: TenantParams,
    #[serde(flatten)]
    pub shape: Shape,
    #[serde(flatten)]
    pub pages: Pages,
    /// Experiments of an iteration, or of each tenant to be filled.
    pub experiments: u32,
    pub log_batch: bool,
    /// Experiments that each tenant should have before load starts.
    pub prefill: u32,
    pub prefill_at_once: usize,
    pub split: By,
    pub training_share: f64,
    pub operations: BTreeMap<String, u32>,
    pub write_probes: bool,
}

impl Params {
    /// How many things are prepared at once.
    pub fn at_once(&self) -> usize {
        self.prefill_at_once.max(1)
    }
}
