//! What an iteration is: one file a mode.

pub mod browsing;
pub mod isolation;
pub mod mixed;
pub mod operations;
pub mod prefill;
pub mod training;

use kperf_plugin_sdk::{Failure, Iteration, Scenario, clock, metrics::Sample, runner_modes};

use crate::{
    browsing as reading,
    params::Params,
    prepared::Prepared,
    split::Workload,
    tally::Tally,
    tenant::{Chooser, Tenants},
    training::Job,
};

/// How long an iteration took, by what it did.
pub const DURATION: &str = "mlflow_iteration_duration";

/// Parameters and tenants of a scenario, which every mode has.
pub struct Context {
    pub params: Params,
    pub tenants: Tenants,
    chooser: Chooser,
    /// What names begin with.
    pub marker: String,
    /// The most virtual users that may run at once.
    pub users: u32,
}

impl Context {
    fn open(scenario: &Scenario, prepared: &Prepared) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let mut tenants = params.tenants.tenants(&scenario.run)?;
        tenants.iter_mut().zip(&prepared.created).for_each(|(tenant, created)| tenant.set_created(*created));
        let chooser = Chooser::new(&params.tenants, tenants.count());
        Ok(Self { params, tenants, chooser, marker: scenario.marker("kperf"), users: scenario.users })
    }

    /// The place of an iteration's tenant.
    pub fn place(&self, iteration: &Iteration) -> usize {
        self.chooser.choose(iteration.user, iteration.number)
    }

    /// Writes or reads for an iteration's tenant.
    async fn work(&self, iteration: &Iteration, workload: Workload) -> Tally {
        let tenant = self.tenants.get(self.place(iteration));
        let mut tally = Tally::default();
        let begun = clock::now();
        match workload {
            Workload::Browsing => reading::browse(tenant, &self.params.pages, &mut tally).await,
            Workload::Training => {
                let job = Job { tenant, shape: &self.params.shape, log_batch: self.params.log_batch };
                for number in 0..self.params.experiments.max(1) {
                    if number > 0 && clock::stopping() {
                        tally.break_off();
                    }
                    if tally.is_stopped() {
                        break;
                    }
                    let name = format!("{}-{}-{}-{number}", self.marker, iteration.user, iteration.number);
                    job.experiment(&name, &mut tally).await;
                }
            }
        }
        if !tally.is_stopped() {
            let took = (clock::now() - begun).as_secs_f64();
            Sample::new(DURATION, took).tag("workload", workload.word()).emit();
        }
        tally
    }
}

runner_modes! {
    /// The opened plugin, by mode.
    pub enum Mode {
        Training(training::Training),
        Browsing(browsing::Browsing),
        Mixed(mixed::Mixed),
        Prefill(prefill::Prefill),
        Isolation(isolation::Isolation),
        Operations(operations::Operations),
    }
}
