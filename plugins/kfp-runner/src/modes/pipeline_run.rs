//! PIPELINE_RUN: an iteration starts a run of a pipeline and waits for its end.

use kperf_plugin_sdk::{Failure, Iteration, RunnerMode, Scenario};
use serde::Deserialize;

use super::PipelineRuns;
use crate::{
    params::{Common, PipelineParams, yes},
    prepared::{Prepared, RunsIn},
    schema,
};

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    pipeline: PipelineParams,
    experiment: Option<String>,
    #[serde(default = "yes")]
    wait: bool,
}

pub struct PipelineRun(PipelineRuns);

impl RunnerMode for PipelineRun {
    const NAME: &str = "PIPELINE_RUN";
    const DESCRIPTION: &str = "Starts a run of a pipeline and waits for its end";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[schema::COMMON, schema::PIPELINE, schema::PIPELINE_RUN], &["pipeline"])
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        let params: Params = scenario.params()?;
        let runs_in = RunsIn::Experiment(params.experiment.as_deref());
        Prepared::new(scenario, &params.common, &params.pipeline, runs_in).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let Params { common, pipeline, wait, .. } = scenario.params()?;
        PipelineRuns::open(scenario, &common, pipeline, wait, prepared).map(Self)
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let (tenant, pipeline) = self.0.of_iteration(iteration);
        self.0.run(tenant, &self.0.name(iteration), &pipeline, iteration).await
    }
}
