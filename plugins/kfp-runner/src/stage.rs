//! What a scenario needs on the server before it starts, and what has to go afterwards.

use futures_util::{StreamExt, stream};
use kperf_plugin_sdk::{Failure, Scenario};
use serde::{Deserialize, Serialize};

use crate::{
    api::{self, Scope},
    params::Params,
};

/// How many runs are deleted at once.
const DELETIONS: usize = 8;

/// What `setup` hands to the instances and to `teardown`.
#[derive(Default, Serialize, Deserialize)]
pub struct Stage {
    /// The uploaded pipeline.
    pub pipeline: String,
    /// Its only version.
    pub version: String,
    /// The experiment; empty for the server's default one.
    pub experiment: String,
    /// Whether the experiment was created here.
    pub owns_experiment: bool,
}

/// What the names of this scenario's pipeline and runs begin with: no other scenario's and no other run's do.
pub fn marker(scenario: &Scenario, params: &Params) -> String {
    let name: String = scenario
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(40)
        .collect();
    // Names that differ only in what was replaced or cut off stay apart.
    let sum =
        scenario.name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}-{}-{name}-{sum:08x}", params.run_name_prefix, scenario.run)
}

impl Stage {
    /// Uploads the pipeline and finds or creates the experiment.
    pub async fn set(scenario: &Scenario) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let namespace = params.namespace.as_deref().unwrap_or_default();
        let pipeline = api::upload_pipeline(&marker(scenario, &params), namespace, &params.pipeline).await?;
        let version = api::latest_version(&pipeline).await?;
        let (experiment, owns_experiment) = match &params.experiment {
            None => (String::new(), false),
            Some(name) => experiment(name, namespace).await?,
        };
        Ok(Self { pipeline, version, experiment, owns_experiment })
    }

    /// Deletes the runs, the pipeline, and the experiment if it was created here. Goes on after a failure, and returns the
    /// first.
    pub async fn strike(scenario: &Scenario, state: &[u8]) -> Result<(), Failure> {
        let params: Params = scenario.params()?;
        if !params.delete {
            return Ok(());
        }
        let marker = marker(scenario, &params);
        let namespace = params.namespace.as_deref().unwrap_or_default();
        let (stage, runs) = match serde_json::from_slice::<Self>(state) {
            Ok(stage) => {
                let scope = Scope { experiment: &stage.experiment, namespace };
                let runs = delete_runs(&format!("{marker}."), scope).await;
                (stage, runs)
            }
            // The preparation did not succeed, but it may have come as far as the upload.
            Err(_) => {
                let pipeline = api::find_pipeline(&marker, namespace).await?.unwrap_or_default();
                (Self { pipeline, ..Self::default() }, Ok(()))
            }
        };
        let pipeline = if stage.pipeline.is_empty() { Ok(()) } else { api::delete_pipeline(&stage.pipeline).await };
        let experiment = if stage.owns_experiment { api::delete_experiment(&stage.experiment).await } else { Ok(()) };
        runs.and(pipeline).and(experiment)
    }
}

/// The experiment with a name, and whether it had to be created.
async fn experiment(name: &str, namespace: &str) -> Result<(String, bool), Failure> {
    if let Some(id) = api::find_experiment(name, namespace).await? {
        return Ok((id, false));
    }
    if let Some(id) = api::create_experiment(name, namespace).await? {
        return Ok((id, true));
    }
    // Another scenario was faster.
    let found = api::find_experiment(name, namespace).await?;
    let missing = || Failure::new("experiment", format!("experiment `{name}` can neither be created nor found"));
    found.map(|id| (id, false)).ok_or_else(missing)
}

/// Deletes page after page, always the first: what is deleted makes room for the next.
async fn delete_runs(marker: &str, scope: Scope<'_>) -> Result<(), Failure> {
    loop {
        let runs = api::find_runs(marker, scope).await?;
        if runs.is_empty() {
            return Ok(());
        }
        let deletions = stream::iter(&runs).map(|run| api::delete_run(&run.run_id)).buffer_unordered(DELETIONS);
        let results: Vec<Result<(), Failure>> = deletions.collect().await;
        // A page of which nothing could be deleted would come again for ever.
        if results.iter().all(Result::is_err) {
            return results.into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        let scenario = Scenario {
            name: name.into(),
            mode: String::new(),
            parameters: String::new(),
            target: String::new(),
            run: "r1".into(),
            users: 1,
        };
        marker(&scenario, &serde_json::from_str(r#"{"pipeline":"p"}"#).unwrap())
    }

    #[test]
    fn markers_are_plain_and_differ() {
        let markers = [named("runs [n=1]"), named("runs [n-1]"), named("runs"), named(&"x".repeat(200))];
        for (index, marker) in markers.iter().enumerate() {
            assert!(marker.len() <= 128 && marker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{marker}");
            assert!(!markers[..index].contains(marker), "{marker}");
        }
    }
}
