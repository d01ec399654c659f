//! PIPELINE_RUN: an iteration starts a run of a pipeline and waits for its end.

use kperf_plugin_sdk::{Failure, Iteration, Scenario};
use serde::Deserialize;

use crate::{
    params::{Common, PipelineParams},
    runs::{Runs, Wanted},
    stage::{self, Stage},
    tenant::Tenants,
};

pub const NAME: &str = "PIPELINE_RUN";

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

fn yes() -> bool {
    true
}

pub struct PipelineRun {
    params: Params,
    marker: String,
    stage: Stage,
    runs: Runs,
}

pub async fn setup(scenario: &Scenario) -> Result<Stage, Failure> {
    let params: Params = scenario.params()?;
    let tenants = Tenants::of(&params.common.tenants)?;
    let (file, graph) = stage::prepare(&params.pipeline).await?;
    let marker = params.common.marker(scenario);
    let places = Stage::set(&tenants, &marker, file, params.experiment.as_deref()).await?;
    Ok(Stage { places, graph })
}

impl PipelineRun {
    pub fn open(scenario: &Scenario, stage: Stage) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let marker = params.common.marker(scenario);
        let runs = super::runs(scenario, &params.common)?;
        Ok(Self { params, marker, stage, runs })
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let tenant = self.runs.tenants.index(iteration.user);
        let place = self.stage.place(tenant);
        let name = format!("{}.{}.{}", self.marker, iteration.user, iteration.number);
        let wanted = Wanted {
            tenant,
            name: &name,
            pipeline: &place.pipeline,
            version: &place.version,
            experiment: &place.experiment,
            parameters: &self.params.pipeline.parameters,
        };
        let accepted = self.runs.submit(&wanted).await?;
        if self.params.wait {
            self.runs.follow(tenant, accepted, iteration, &self.stage.graph, true).await?;
        }
        Ok(())
    }
}
