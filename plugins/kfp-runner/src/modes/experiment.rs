//! EXPERIMENT: an iteration creates an experiment, runs the pipeline in it a number of times at once, and waits for all
//! ends.

use futures_util::future::join_all;
use kperf_plugin_sdk::{Failure, Iteration, RunnerMode, Scenario, clock, metrics::Sample};
use serde::Deserialize;

use super::PipelineRuns;
use crate::{
    params::{Common, PipelineParams, yes},
    prepared::{self, Prepared, RunsIn, TenantPipeline},
    schema,
};

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    pipeline: PipelineParams,
    #[serde(default = "one")]
    runs: u32,
    #[serde(default = "yes")]
    wait: bool,
}

fn one() -> u32 {
    1
}

pub struct Experiment {
    pipeline: PipelineRuns,
    /// How many runs an experiment has.
    runs: u32,
}

impl RunnerMode for Experiment {
    const NAME: &str = "EXPERIMENT";
    const DESCRIPTION: &str = "Creates an experiment, runs a pipeline in it and waits for the ends";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[schema::COMMON, schema::PIPELINE, schema::EXPERIMENT], &["pipeline"])
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        let params: Params = scenario.params()?;
        Prepared::new(scenario, &params.common, &params.pipeline, RunsIn::ExperimentOfIteration).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let Params { common, pipeline, runs, wait } = scenario.params()?;
        Ok(Self { pipeline: PipelineRuns::open(scenario, &common, pipeline, wait, prepared)?, runs })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let (place, of) = self.pipeline.of_iteration(iteration);
        let tenant = self.pipeline.runs.tenants.get(place);
        let name = self.pipeline.name(iteration);
        let began = clock::now();
        let experiment = prepared::create_experiment(tenant, &name).await?;
        Sample::new("kfp_experiment_submit_duration", (clock::now() - began).as_secs_f64()).emit();
        let of = TenantPipeline { experiment, ..of };
        let run = async |number| self.pipeline.run(place, &format!("{name}.{number}"), &of, iteration).await;
        let ends: Vec<Result<(), Failure>> = join_all((0..self.runs).map(run)).await;
        let failed = ends.iter().filter(|end| end.is_err()).count();
        if let Some(failure) = ends.into_iter().find_map(Result::err) {
            return Err(failure.at(format_args!("{failed} of {} runs", self.runs)));
        }
        if self.pipeline.wait {
            Sample::new("kfp_experiment_duration", (clock::now() - began).as_secs_f64()).emit();
        }
        Ok(())
    }
}
