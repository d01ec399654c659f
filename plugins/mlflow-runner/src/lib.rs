//! Makes load on an MLflow tracking server whose tenants are workspaces, and watches that they do not see each other.
//!
//! In comes a mode with its parameters; out go requests, each under the name of its operation and for one tenant, and what
//! their answers mean: errors by kind, figures by tenant, leaks. What is created goes through the host's ledger. It measures no
//! request itself: the host does.

mod api;
mod browsing;
mod created;
mod description;
mod fixture;
mod modes;
mod operation;
mod params;
mod prefill;
mod preflight;
mod prepared;
mod probe;
mod schema;
mod shape;
mod split;
mod tally;
mod tenant;
mod training;

use kperf_plugin_sdk::{Description, Entry, Failure, Finding, Iteration, Runner, Scenario, export_runner};

use modes::Mode;

/// The runner, opened in one of its modes.
pub struct MlflowRunner(Mode);

impl Runner for MlflowRunner {
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

    async fn cleanup(_: Scenario, entries: Vec<Entry>) -> Result<(), Failure> {
        created::cleanup(entries).await
    }
}

export_runner!(MlflowRunner);
