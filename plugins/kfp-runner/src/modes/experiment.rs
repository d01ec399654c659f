//! EXPERIMENT: an iteration creates an experiment, runs the pipeline in it a number of times at once, and waits for all
//! ends.

use futures_util::future::join_all;
use kperf_plugin_sdk::{Failure, Iteration, Scenario, clock, metrics::Sample};
use serde::Deserialize;

use crate::{
    params::{Common, PipelineParams},
    runs::{Runs, Wanted},
    stage::{self, Stage},
    tenant::Tenants,
};

pub const NAME: &str = "EXPERIMENT";

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

fn yes() -> bool {
    true
}

pub struct Experiment {
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
    let mut places = Vec::with_capacity(tenants.all().len());
    for tenant in tenants.all() {
        let (pipeline, version) = stage::upload(tenant, &marker, file.clone()).await?;
        places.push(stage::Place { pipeline, version, experiment: String::new() });
    }
    Ok(Stage { places, graph })
}

impl Experiment {
    pub fn open(scenario: &Scenario, stage: Stage) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let marker = params.common.marker(scenario);
        let runs = super::runs(scenario, &params.common)?;
        Ok(Self { params, marker, stage, runs })
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let tenant = self.runs.tenants.index(iteration.user);
        let name = format!("{}.{}.{}", self.marker, iteration.user, iteration.number);
        let began = clock::now();
        let experiment = stage::create_experiment(&self.runs.tenants.get(tenant), &name).await?;
        Sample::new("kfp_experiment_submit_duration", (clock::now() - began).as_secs_f64()).emit();
        let runs = (0..self.params.runs).map(|number| self.run(tenant, &experiment, &name, number, iteration));
        let ends: Vec<Result<(), Failure>> = join_all(runs).await;
        let failed = ends.iter().filter(|end| end.is_err()).count();
        let first = ends.into_iter().find_map(Result::err);
        if let Some(failure) = first {
            let message = format!("{failed} of {} runs: {}", self.params.runs, failure.message);
            return Err(Failure::new(&failure.kind, message));
        }
        if self.params.wait {
            Sample::new("kfp_experiment_duration", (clock::now() - began).as_secs_f64()).emit();
        }
        Ok(())
    }

    async fn run(
        &self,
        tenant: usize,
        experiment: &str,
        name: &str,
        number: u32,
        iteration: &Iteration,
    ) -> Result<(), Failure> {
        let place = self.stage.place(tenant);
        let wanted = Wanted {
            tenant,
            name: &format!("{name}.{number}"),
            pipeline: &place.pipeline,
            version: &place.version,
            experiment,
            parameters: &self.params.pipeline.parameters,
        };
        let accepted = self.runs.submit(&wanted).await?;
        if self.params.wait {
            self.runs.follow(tenant, accepted, iteration, &self.stage.graph, true).await?;
        }
        Ok(())
    }
}
