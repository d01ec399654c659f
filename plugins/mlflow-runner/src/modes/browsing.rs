//! BROWSING: an iteration reads lists, and single things out of them.

use kperf_plugin_sdk::{Failure, Iteration, RunnerMode, Scenario};

use super::Context;
use crate::{
    prepared::Prepared,
    schema::{self, BROWSING, FILLED, SHAPE, TENANTS},
    split::Workload,
};

pub struct Browsing(Context);

impl RunnerMode for Browsing {
    const NAME: &str = "BROWSING";
    const DESCRIPTION: &str = "Reads lists, then experiments, runs and artifacts out of them";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, FILLED, SHAPE, BROWSING], &[])
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::new(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        Context::open(scenario, &prepared).map(Self)
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        self.0.work(iteration, Workload::Browsing).await.end()
    }
}
