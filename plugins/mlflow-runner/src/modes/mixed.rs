//! MIXED: some train while others browse.

use kperf_plugin_sdk::{Failure, Finding, Iteration, RunnerMode, Scenario, random};

use super::Context;
use crate::params::Params;
use crate::{
    prepared::Prepared,
    schema::{self, BROWSING, FILLED, MIXED, SHAPE, TENANTS, TRAINING},
    split::{By, Split, training_users},
};

pub struct Mixed {
    context: Context,
    split: Split,
}

impl RunnerMode for Mixed {
    const NAME: &str = "MIXED";
    const DESCRIPTION: &str = "Some train while others browse";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, FILLED, SHAPE, TRAINING, BROWSING, MIXED], &[])
    }

    fn check(scenario: &Scenario) -> Vec<Finding> {
        match scenario.params::<Params>() {
            Ok(params) if params.split == By::Users => vec![users(params.training_share, scenario.users)],
            _ => Vec::new(),
        }
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::new(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let context = Context::open(scenario, &prepared)?;
        let params = &context.params;
        let training = params.shape.requests(params.log_batch) * u64::from(params.experiments.max(1));
        let expected = (training, params.pages.requests());
        let split = Split::new(params.split, params.training_share, context.users, expected);
        Ok(Self { context, split })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let begun = self.split.begin(iteration.user, random::share);
        let tally = self.context.work(iteration, begun.workload).await;
        self.split.end(&begun, tally.requests());
        tally.end()
    }
}

fn users(share: f64, users: u32) -> Finding {
    let training = training_users(share, users);
    let message = format!("{training} of {users} train, {} browse", users - training.min(users));
    if training == 0 && share > 0.0 {
        let help = "more users, or split = \"iterations\"";
        Finding::warn("users", format!("{message}: a share of {share} is less than one of them; it takes {help}"))
    } else {
        Finding::pass("users", message)
    }
}
