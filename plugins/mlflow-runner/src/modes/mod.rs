//! What an iteration is: one file a mode.

pub mod isolation;
pub mod mixed;
pub mod operations;
pub mod prefill;

use std::collections::BTreeMap;

use kperf_plugin_sdk::{Failure, Iteration, Scenario, clock, metrics::Sample};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    browsing::{self, Pages},
    shape::Shape,
    split::{By, Workload},
    stage::Stage,
    tally::Tally,
    tenant::{Tenant, TenantParams, Tenants},
    training::Job,
};

/// An experiment with prompts and runs is written.
pub const TRAINING: &str = "TRAINING";
/// Lists and single things are read.
pub const BROWSING: &str = "BROWSING";

/// How long an iteration took, by what it did.
pub const DURATION: &str = "mlflow_iteration_duration";

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

/// What all modes have.
pub struct Bench {
    pub params: Params,
    pub tenants: Tenants,
    /// What names begin with.
    pub marker: String,
    /// The most virtual users that may run at once.
    pub users: u32,
}

impl Bench {
    fn open(scenario: &Scenario, stage: &Stage) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let mut tenants = Tenants::of(&params.tenants, &scenario.run)?;
        tenants.belong(&stage.ours);
        Ok(Self { params, tenants, marker: scenario.marker("kperf"), users: scenario.users })
    }

    /// The place of an iteration's tenant.
    pub fn place(&self, iteration: &Iteration) -> usize {
        self.tenants.choose(iteration.user, iteration.number)
    }

    /// The tenant at a place.
    ///
    /// # Errors
    /// If there is none; can't happen.
    pub fn tenant(&self, place: usize) -> Result<&Tenant, Failure> {
        self.tenants.all().get(place).ok_or_else(|| Failure::new("tenant", "there is no such tenant"))
    }

    /// Writes or reads for an iteration's tenant.
    async fn work(&self, iteration: &Iteration, workload: Workload) -> Result<Tally, Failure> {
        let tenant = self.tenant(self.place(iteration))?;
        let mut tally = Tally::default();
        let begun = clock::now();
        match workload {
            Workload::Browsing => browsing::browse(tenant, &self.params.pages, &mut tally).await,
            Workload::Training => {
                let job = Job { tenant, shape: &self.params.shape, log_batch: self.params.log_batch };
                for number in 0..self.params.experiments.max(1) {
                    let name = format!("{}-{}-{}-{number}", self.marker, iteration.user, iteration.number);
                    job.experiment(&name, &mut tally).await;
                }
            }
        }
        if !tally.is_stopped() {
            let took = (clock::now() - begun).as_secs_f64();
            Sample::new(DURATION, took).tag("workload", workload.word()).emit();
        }
        Ok(tally)
    }
}

/// The opened plugin, by mode.
pub enum Mode {
    Plain(Bench, Workload),
    Mixed(mixed::Mixed),
    Prefill(Bench),
    Isolation(isolation::Isolation),
    Operations(operations::Operations),
}

/// Prepares a scenario.
pub async fn setup(scenario: &Scenario) -> Result<Vec<u8>, Failure> {
    let params: Params = scenario.params()?;
    let exhibits = match scenario.mode.as_str() {
        TRAINING | BROWSING | mixed::NAME | prefill::NAME => false,
        isolation::NAME | operations::NAME => true,
        other => return Err(unknown(other)),
    };
    let stage = Stage::set(scenario, &params, exhibits).await?;
    serde_json::to_vec(&stage).map_err(|error| Failure::new("state", error.to_string()))
}

impl Mode {
    /// Opens a scenario in an instance.
    pub fn open(scenario: &Scenario, state: &[u8]) -> Result<Self, Failure> {
        let stage: Stage = read(state)?;
        let bench = Bench::open(scenario, &stage)?;
        Ok(match scenario.mode.as_str() {
            TRAINING => Self::Plain(bench, Workload::Training),
            BROWSING => Self::Plain(bench, Workload::Browsing),
            mixed::NAME => Self::Mixed(mixed::Mixed::open(bench)),
            prefill::NAME => Self::Prefill(bench),
            isolation::NAME => Self::Isolation(isolation::Isolation::open(bench, stage.exhibits)),
            operations::NAME => Self::Operations(operations::Operations::open(bench, stage.exhibits)?),
            other => return Err(unknown(other)),
        })
    }

    /// One iteration.
    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        match self {
            Self::Plain(bench, workload) => bench.work(iteration, *workload).await?.end(),
            Self::Mixed(mode) => mode.iterate(iteration).await,
            Self::Prefill(bench) => prefill::iterate(bench, iteration).await,
            Self::Isolation(mode) => mode.iterate(iteration).await,
            Self::Operations(mode) => mode.iterate(iteration).await,
        }
    }
}

fn unknown(mode: &str) -> Failure {
    Failure::new("mode", format!("there is no mode `{mode}`"))
}

fn read<T: DeserializeOwned>(state: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(state).map_err(|error| Failure::new("state", error.to_string()))
}
