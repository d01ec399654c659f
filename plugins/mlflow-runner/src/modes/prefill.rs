//! PREFILL: an iteration fills the tenants of its user, one experiment at a time. Every user has its own share of the tenants.

use kperf_plugin_sdk::{Failure, Iteration, RunnerMode, Scenario};

use super::Context;
use crate::{
    prefill,
    prepared::Prepared,
    schema::{self, PREFILL, SHAPE, TENANTS},
    tenant::Tenant,
};

pub struct Prefill(Context);

impl RunnerMode for Prefill {
    const NAME: &str = "PREFILL";
    const DESCRIPTION: &str = "Fills tenants with experiments; what is there already counts";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, SHAPE, PREFILL], &[])
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::new(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        Context::open(scenario, &prepared).map(Self)
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let Context { params, tenants, marker, users, .. } = &self.0;
        let (first, step) = (iteration.user as usize, (*users).max(1) as usize);
        let tenants: Vec<&Tenant> = tenants.iter().skip(first).step_by(step).collect();
        if tenants.is_empty() {
            return Ok(());
        }
        let prefill = prefill::Prefill {
            experiments: params.experiments,
            shape: &params.shape,
            log_batch: params.log_batch,
            at_once: 1,
            marker,
            // Shares are alike: one user speaks for all.
            logs_progress: first == 0,
        };
        prefill.fill(&tenants).await
    }
}
