//! PREFILL: an iteration fills the tenants of its user, one experiment at a time. Every user has its own share of the tenants.

use kperf_plugin_sdk::{Failure, Iteration};

use super::Bench;
use crate::{prefill::Prefill, tenant::Tenant};

pub const NAME: &str = "PREFILL";

pub async fn iterate(bench: &Bench, iteration: &Iteration) -> Result<(), Failure> {
    let (first, step) = (iteration.user as usize, bench.users.max(1) as usize);
    let tenants: Vec<&Tenant> = bench.tenants.all().iter().skip(first).step_by(step).collect();
    if tenants.is_empty() {
        return Ok(());
    }
    let prefill = Prefill {
        experiments: bench.params.experiments,
        shape: &bench.params.shape,
        log_batch: bench.params.log_batch,
        at_once: 1,
        marker: &bench.marker,
        // Shares are alike: one user speaks for all.
        tells: first == 0,
    };
    prefill.fill(&tenants).await
}
