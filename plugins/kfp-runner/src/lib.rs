//! Makes load on Kubeflow Pipelines (API v2beta1) and says where the time goes.
//!
//! In comes a mode with its parameters; out go requests, and of every run that is followed its times, as metrics and as
//! rows. What is created goes through the host's ledger. It measures no request itself: the host does.

mod api;
mod clock_offset;
mod created;
mod description;
mod follow;
mod modes;
mod params;
mod prefill;
mod preflight;
mod prepared;
mod run;
mod run_report;
mod runs;
mod schema;
mod spec;
mod tenant;
mod timestamp;
mod timings;

use kperf_plugin_sdk::{Description, Entry, Failure, Finding, Iteration, Runner, Scenario, export_runner};

use modes::Mode;
use params::Common;

/// The runner, opened in one of its modes.
pub struct KfpRunner(Mode);

impl Runner for KfpRunner {
    fn describe() -> Description {
        description::description()
    }

    async fn preflight(scenario: Scenario) -> Vec<Finding> {
        preflight::findings(&scenario).await
    }

    async fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
        Mode::setup(&scenario).await
    }

    async fn open(scenario: Scenario, state: Vec<u8>) -> Result<Self, Failure> {
        Mode::open(&scenario, &state).map(Self)
    }

    async fn iterate(&self, iteration: Iteration) -> Result<(), Failure> {
        self.0.iterate(&iteration).await
    }

    async fn cleanup(scenario: Scenario, entries: Vec<Entry>) -> Result<(), Failure> {
        let common: Common = scenario.params()?;
        created::cleanup(&common.tenants.tenants()?, entries).await
    }
}

export_runner!(KfpRunner);
