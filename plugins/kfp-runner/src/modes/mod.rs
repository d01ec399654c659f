//! What an iteration is: one file a mode.

pub mod experiment;
pub mod large_dataset;
pub mod pipeline_run;
pub mod random_gets;
pub mod scheduled_runs;

use kperf_plugin_sdk::{Failure, Iteration, Scenario, runner_modes};

use crate::{
    params::{Common, PipelineParams},
    prepared::{Prepared, TenantPipeline},
    runs::{RunRequest, Runs},
};

runner_modes! {
    /// The opened plugin, by mode.
    pub enum Mode {
        PipelineRun(pipeline_run::PipelineRun),
        Experiment(experiment::Experiment),
        RandomGets(random_gets::RandomGets),
        ScheduledRuns(scheduled_runs::ScheduledRuns),
        LargeDataset(large_dataset::LargeDataset),
    }
}

/// What modes have that start runs of the suite's pipeline themselves.
struct PipelineRuns {
    pipeline: PipelineParams,
    /// Whether the iteration waits for the end of its runs.
    wait: bool,
    /// What names begin with.
    marker: String,
    prepared: Prepared,
    runs: Runs,
}

impl PipelineRuns {
    fn open(
        scenario: &Scenario,
        common: &Common,
        pipeline: PipelineParams,
        wait: bool,
        prepared: Prepared,
    ) -> Result<Self, Failure> {
        let runs = Runs::open(scenario, common)?;
        Ok(Self { pipeline, wait, marker: common.marker(scenario), prepared, runs })
    }

    /// The pipeline of an iteration's tenant, and the tenant's place.
    fn of_iteration(&self, iteration: &Iteration) -> (usize, TenantPipeline) {
        let tenant = self.runs.tenants.place_of_user(iteration.user);
        (tenant, self.prepared.of_tenant(tenant))
    }

    /// What the names of everything that an iteration creates begin with.
    fn name(&self, iteration: &Iteration) -> String {
        format!("{}.{}.{}", self.marker, iteration.user, iteration.number)
    }

    /// Starts a run, and waits for its end if the suite wants that.
    async fn run(&self, tenant: usize, name: &str, of: &TenantPipeline, iteration: &Iteration) -> Result<(), Failure> {
        let wanted = RunRequest { tenant, name, of, parameters: &self.pipeline.parameters };
        let accepted = self.runs.submit(&wanted).await?;
        if self.wait {
            self.runs.follow(tenant, accepted, iteration, &self.prepared.graph, true).await?;
        }
        Ok(())
    }
}
