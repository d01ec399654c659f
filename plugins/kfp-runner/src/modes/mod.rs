//! What an iteration is: one file a mode.

pub mod experiment;
pub mod large_dataset;
pub mod pipeline_run;
pub mod random_gets;
pub mod scheduled_runs;

use std::cell::RefCell;

use kperf_plugin_sdk::{Failure, Iteration, Scenario};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock_offset::ClockOffset,
    follow::{Following, Pace},
    params::Common,
    runs::Runs,
    tenant::Tenants,
};

/// The opened plugin, by mode.
pub enum Mode {
    PipelineRun(pipeline_run::PipelineRun),
    Experiment(experiment::Experiment),
    RandomGets(random_gets::RandomGets),
    ScheduledRuns(scheduled_runs::ScheduledRuns),
    LargeDataset(large_dataset::LargeDataset),
}

/// Prepares a scenario.
pub async fn setup(scenario: &Scenario) -> Result<Vec<u8>, Failure> {
    match scenario.mode.as_str() {
        pipeline_run::NAME => pipeline_run::setup(scenario).await.and_then(|state| write(&state)),
        experiment::NAME => experiment::setup(scenario).await.and_then(|state| write(&state)),
        random_gets::NAME => random_gets::setup(scenario).await.and_then(|state| write(&state)),
        scheduled_runs::NAME => scheduled_runs::setup(scenario).await.and_then(|state| write(&state)),
        large_dataset::NAME => large_dataset::setup(scenario).await.and_then(|state| write(&state)),
        other => Err(unknown(other)),
    }
}

impl Mode {
    /// Opens a scenario in an instance.
    pub fn open(scenario: &Scenario, state: &[u8]) -> Result<Self, Failure> {
        Ok(match scenario.mode.as_str() {
            pipeline_run::NAME => Self::PipelineRun(pipeline_run::PipelineRun::open(scenario, read(state)?)?),
            experiment::NAME => Self::Experiment(experiment::Experiment::open(scenario, read(state)?)?),
            random_gets::NAME => Self::RandomGets(random_gets::RandomGets::open(scenario, read(state)?)?),
            scheduled_runs::NAME => Self::ScheduledRuns(scheduled_runs::ScheduledRuns::open(scenario, read(state)?)?),
            large_dataset::NAME => Self::LargeDataset(large_dataset::LargeDataset::open(scenario, read(state)?)?),
            other => return Err(unknown(other)),
        })
    }

    /// One iteration.
    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        match self {
            Self::PipelineRun(mode) => mode.iterate(iteration).await,
            Self::Experiment(mode) => mode.iterate(iteration).await,
            Self::RandomGets(mode) => mode.iterate(iteration).await,
            Self::ScheduledRuns(mode) => mode.iterate(iteration).await,
            Self::LargeDataset(mode) => mode.iterate(iteration).await,
        }
    }
}

/// What starts and follows the runs of an instance.
fn runs(scenario: &Scenario, common: &Common) -> Result<Runs, Failure> {
    let tenants = Tenants::of(&common.tenants)?;
    let pace = Pace::new(common.poll_interval, scenario.users);
    let following = Following::new(pace, tenants.clone(), common.timeout);
    Ok(Runs { tenants, following, offset: RefCell::new(ClockOffset::default()) })
}

fn unknown(mode: &str) -> Failure {
    Failure::new("mode", format!("there is no mode `{mode}`"))
}

fn write(state: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(state).map_err(|error| Failure::new("state", error.to_string()))
}

fn read<T: DeserializeOwned>(state: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(state).map_err(|error| Failure::new("state", error.to_string()))
}
