//! OPERATIONS: an iteration is one operation, chosen by weights, on what its tenant has one of.

use std::collections::BTreeMap;

use kperf_plugin_sdk::{Failure, Iteration, random};

use super::Bench;
use crate::{
    api::{Trouble, artifacts, experiments, prompts, runs, workspaces},
    created,
    exhibit::{self, Exhibit},
    operation,
};

pub const NAME: &str = "OPERATIONS";

pub struct Operations {
    bench: Bench,
    exhibits: Vec<Exhibit>,
    choices: Vec<(u32, &'static str)>,
}

/// The operations with their weights.
///
/// # Errors
/// A failure of the kind `params` if a name is unknown, or nothing has a weight.
pub fn choices(weights: &BTreeMap<String, u32>) -> Result<Vec<(u32, &'static str)>, Failure> {
    if let Some(name) = weights.keys().find(|name| !operation::ALL.contains(&name.as_str())) {
        let message = format!("`operations` has no `{name}`, there are: {}", operation::ALL.join(", "));
        return Err(Failure::new("params", message));
    }
    let weight = |name: &'static str| (weights.get(name).copied().unwrap_or(0), name);
    let choices: Vec<_> = operation::ALL.into_iter().map(weight).filter(|(weight, _)| *weight > 0).collect();
    if choices.is_empty() {
        return Err(Failure::new("params", "give at least one of `operations` a weight above 0"));
    }
    Ok(choices)
}

/// One of the choices; `below` draws a number below its argument.
fn pick(choices: &[(u32, &'static str)], below: impl FnOnce(u64) -> u64) -> &'static str {
    let mut left = below(choices.iter().map(|(weight, _)| u64::from(*weight)).sum());
    for (weight, name) in choices {
        match left.checked_sub(u64::from(*weight)) {
            None => return name,
            Some(rest) => left = rest,
        }
    }
    operation::LIST_WORKSPACES
}

impl Operations {
    pub fn open(bench: Bench, exhibits: Vec<Exhibit>) -> Result<Self, Failure> {
        let choices = choices(&bench.params.operations)?;
        Ok(Self { bench, exhibits, choices })
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let place = self.bench.place(iteration);
        let name = pick(&self.choices, random::below);
        Ok(self.perform(name, place, iteration).await?)
    }

    async fn perform(&self, name: &str, place: usize, iteration: &Iteration) -> Result<(), Trouble> {
        let Self { bench, exhibits, .. } = self;
        let tenant = bench.tenant(place)?;
        let exhibit = exhibits.get(place).ok_or_else(|| Failure::new("state", "a tenant has no exhibit"))?;
        let (pages, marker) = (&bench.params.pages, &bench.marker);
        let fresh = || format!("{marker}-{}-{}", iteration.user, iteration.number);
        let prompt = || exhibit::prompt_name(marker, tenant);
        match name {
            operation::CREATE_EXPERIMENT => created::experiment(tenant, &fresh()).await.map(drop),
            operation::CREATE_PROMPT => created::prompt(tenant, &fresh()).await.map(drop),
            operation::CREATE_PROMPT_VERSION => {
                prompts::create_version(tenant, &prompt(), "Summarize: {{text}}").await.map(drop)
            }
            operation::CREATE_RUN => runs::create(tenant, &exhibit.experiment).await.map(drop),
            operation::LOG_METRIC => runs::log_metric(tenant, &exhibit.run, "metric1", 0.5).await,
            operation::LOG_PARAMETER => {
                let key = format!("param-{}-{}", iteration.user, iteration.number);
                runs::log_parameter(tenant, &exhibit.run, &key, "0.5").await
            }
            operation::LOG_BATCH => {
                let shape = &bench.params.shape;
                let metrics: Vec<_> = (1..=shape.metrics).map(|n| (format!("metric{n}"), 0.5)).collect();
                // The same value again is no conflict.
                let parameters: Vec<_> = (1..=shape.parameters).map(|n| (format!("param{n}"), "0.5".into())).collect();
                runs::log_batch(tenant, &exhibit.run, &metrics, &parameters).await
            }
            operation::LOG_ARTIFACT => {
                let file = format!("user-{}.json", iteration.user);
                artifacts::put(tenant, &exhibit.artifact_uri, &file, bench.params.shape.artifact_bytes).await
            }
            operation::UPDATE_RUN_STATUS => match runs::finish(tenant, &exhibit.run).await?.as_str() {
                "FINISHED" => Ok(()),
                other => Err(Trouble::bad_answer(format!("update_run_status: the run is `{other}`, not FINISHED"))),
            },
            operation::LIST_WORKSPACES => workspaces::list(tenant).await.map(drop),
            operation::SEARCH_PROMPTS => prompts::search(tenant, pages.max_prompts).await.map(drop),
            operation::SEARCH_EXPERIMENTS => experiments::search(tenant, pages.max_experiments, "").await.map(drop),
            operation::GET_EXPERIMENT => experiments::get(tenant, &exhibit.experiment).await.map(drop),
            operation::SEARCH_RUNS => runs::search(tenant, &exhibit.experiment, pages.max_runs).await.map(drop),
            operation::GET_RUN => runs::get(tenant, &exhibit.run).await.map(drop),
            operation::LIST_ARTIFACTS => runs::artifacts(tenant, &exhibit.run).await.map(drop),
            _ => artifacts::fetch(tenant, &exhibit.artifact_uri, exhibit::ARTIFACT).await.map(drop),
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
        let choices = choices(&weights(&[("create_run", 1), ("get_run", 3), ("log_metric", 0)])).unwrap();
        let picked: Vec<_> = (0..4).map(|at| pick(&choices, |bound| at % bound)).collect();
        assert_eq!(picked, ["create_run", "get_run", "get_run", "get_run"]);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        assert!(choices(&weights(&[("create_runs", 1)])).unwrap_err().message.contains("there are: create_experiment"));
        assert!(choices(&weights(&[("create_run", 0)])).unwrap_err().message.contains("above 0"));
    }
}
