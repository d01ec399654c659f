//! TRAINING: an iteration writes experiments with prompts and runs.

use kperf_plugin_sdk::{Failure, Iteration, RunnerMode, Scenario};

use super::Context;
use crate::{
    prepared::Prepared,
    schema::{self, FILLED, SHAPE, TENANTS, TRAINING},
    split::Workload,
};

pub struct Training(Context);

impl RunnerMode for Training {
    const NAME: &str = "TRAINING";
    const DESCRIPTION: &str = "Writes experiments with prompts, runs, metrics, parameters and artifacts";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, FILLED, SHAPE, TRAINING], &[])
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::new(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        Context::open(scenario, &prepared).map(Self)
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        self.0.work(iteration, Workload::Training).await.end()
    }
}
