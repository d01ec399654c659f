//! OPERATIONS: an iteration is one operation, chosen by weights, on what its tenant has one of.

use std::collections::BTreeMap;

use kperf_plugin_sdk::{
    Failure, Finding, Iteration, RunnerMode, Scenario,
    random::{self, Weighted},
};

use super::Context;
use crate::params::Params;
use crate::{
    api::{ApiError, artifacts, experiments, prompts, runs, workspaces},
    created,
    fixture::{self, Fixture},
    operation,
    prepared::Prepared,
    schema::{self, BROWSING, FILLED, OPERATIONS, SHAPE, TENANTS},
};

pub struct Operations {
    context: Context,
    fixtures: Vec<Fixture>,
    operations: Weighted<&'static str>,
}

/// The operations with their weights.
///
/// # Errors
/// A failure of the kind `params` if a name is unknown, or nothing has a weight.
fn operations(weights: &BTreeMap<String, u32>) -> Result<Weighted<&'static str>, Failure> {
    if let Some(name) = weights.keys().find(|name| !operation::ALL.contains(&name.as_str())) {
        let message = format!("`operations` has no `{name}`, there are: {}", operation::ALL.join(", "));
        return Err(Failure::params(message));
    }
    let weight = |name: &'static str| (weights.get(name).copied().unwrap_or(0), name);
    let operations = Weighted::new(operation::ALL.map(weight));
    if operations.total() == 0 {
        return Err(Failure::params("give at least one of `operations` a weight above 0"));
    }
    Ok(operations)
}

impl RunnerMode for Operations {
    const NAME: &str = "OPERATIONS";
    const DESCRIPTION: &str = "Single operations, chosen by weights";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, FILLED, SHAPE, BROWSING, OPERATIONS], &["operations"])
    }

    fn check(scenario: &Scenario) -> Vec<Finding> {
        let chosen = scenario.params::<Params>().and_then(|params| {
            let artifacts = [operation::LOG_ARTIFACT, operation::FETCH_ARTIFACT];
            let weight = |name: &str| params.operations.get(name).copied().unwrap_or(0);
            if let Some(name) = artifacts.into_iter().find(|name| params.shape.artifacts == 0 && weight(name) > 0) {
                return Err(Failure::params(format!("`{name}` needs artifacts, and `artifacts = 0` asks for none")));
            }
            operations(&params.operations)
        });
        chosen.err().map(|failure| Finding::fail("operations", failure.message)).into_iter().collect()
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::with_fixtures(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let context = Context::open(scenario, &prepared)?;
        let operations = operations(&context.params.operations)?;
        Ok(Self { context, fixtures: prepared.fixtures, operations })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let place = self.context.place(iteration);
        let name = self.operations.choose(random::below).copied().unwrap_or(operation::LIST_WORKSPACES);
        Ok(self.perform(name, place, iteration).await?)
    }
}

impl Operations {
    async fn perform(&self, name: &str, place: usize, iteration: &Iteration) -> Result<(), ApiError> {
        let Self { context, fixtures, .. } = self;
        let tenant = context.tenants.get(place);
        let fixture = fixtures.get(place).ok_or_else(|| Failure::new("state", "a tenant has no fixture"))?;
        let (pages, marker) = (&context.params.pages, &context.marker);
        let fresh = || format!("{marker}-{}-{}", iteration.user, iteration.number);
        let prompt = || fixture::prompt_name(marker, tenant);
        match name {
            operation::CREATE_EXPERIMENT => created::experiment(tenant, &fresh()).await.map(drop),
            operation::CREATE_PROMPT => created::prompt(tenant, &fresh()).await.map(drop),
            operation::CREATE_PROMPT_VERSION => {
                prompts::create_version(tenant, &prompt(), "Summarize: {{text}}").await.map(drop)
            }
            operation::CREATE_RUN => runs::create(tenant, &fixture.experiment).await.map(drop),
            operation::LOG_METRIC => runs::log_metric(tenant, &fixture.run, "metric1", 0.5).await,
            operation::LOG_PARAMETER => {
                let key = format!("param-{}-{}", iteration.user, iteration.number);
                runs::log_parameter(tenant, &fixture.run, &key, "0.5").await
            }
            operation::LOG_BATCH => {
                let shape = &context.params.shape;
                let metrics: Vec<_> = (1..=shape.metrics).map(|n| (format!("metric{n}"), 0.5)).collect();
                // The same value again is no conflict.
                let parameters: Vec<_> = (1..=shape.parameters).map(|n| (format!("param{n}"), "0.5".into())).collect();
                runs::log_batch(tenant, &fixture.run, &metrics, &parameters).await
            }
            operation::LOG_ARTIFACT => {
                let file = format!("user-{}.json", iteration.user);
                artifacts::put(tenant, &fixture.artifact_uri, &file, context.params.shape.artifact_bytes).await
            }
            operation::UPDATE_RUN_STATUS => match runs::finish(tenant, &fixture.run).await?.as_str() {
                "FINISHED" => Ok(()),
                other => Err(ApiError::bad_answer(format!("update_run_status: the run is `{other}`, not FINISHED"))),
            },
            operation::LIST_WORKSPACES => workspaces::list(tenant).await.map(drop),
            operation::SEARCH_PROMPTS => prompts::search(tenant, pages.max_prompts).await.map(drop),
            operation::SEARCH_EXPERIMENTS => experiments::search(tenant, pages.max_experiments, "").await.map(drop),
            operation::GET_EXPERIMENT => experiments::get(tenant, &fixture.experiment).await.map(drop),
            operation::SEARCH_RUNS => runs::search(tenant, &fixture.experiment, pages.max_runs).await.map(drop),
            operation::GET_RUN => runs::get(tenant, &fixture.run).await.map(drop),
            operation::LIST_ARTIFACTS => runs::artifacts(tenant, &fixture.run).await.map(drop),
            _ => artifacts::fetch(tenant, &fixture.artifact_uri, fixture::ARTIFACT).await.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
        pairs.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
    }

    #[test]
    fn operations_follow_their_weights() {
        let operations = operations(&weights(&[("create_run", 1), ("get_run", 3), ("log_metric", 0)])).unwrap();
        let chosen: Vec<_> = (0..4).map(|ticket| *operations.choose(|_| ticket).unwrap()).collect();
        assert_eq!(chosen, ["create_run", "get_run", "get_run", "get_run"]);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        assert!(
            operations(&weights(&[("create_runs", 1)])).unwrap_err().message.contains("there are: create_experiment")
        );
        assert!(operations(&weights(&[("create_run", 0)])).unwrap_err().message.contains("above 0"));
    }
}
