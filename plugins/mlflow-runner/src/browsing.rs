//! The requests of a person who browses: lists, then single things out of them.

use kperf_plugin_sdk::{clock, random};
use serde::Deserialize;

use crate::{
    api::{artifacts, experiments, prompts, runs, runs::Artifact, workspaces},
    tally::Tally,
    tenant::Tenant,
};

/// How much is read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Pages {
    pub max_prompts: u32,
    pub max_experiments: u32,
    pub max_runs: u32,
    /// How many experiments of the list are opened.
    pub browse_experiments: usize,
    /// How many runs of each are opened.
    pub browse_runs: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { max_prompts: 100, max_experiments: 25, max_runs: 10, browse_experiments: 5, browse_runs: 3 }
    }
}

impl Pages {
    /// The most requests that it takes.
    pub fn requests(&self) -> u64 {
        let (experiments, runs) = (self.browse_experiments as u64, self.browse_runs as u64);
        3 + experiments * (2 + runs * 3)
    }
}

/// Browses a tenant's workspace.
pub async fn browse(tenant: &Tenant, pages: &Pages, tally: &mut Tally) {
    if let Some(names) = tally.take(workspaces::list(tenant).await) {
        tally.check("a tenant is shown its own workspace", names.iter().any(|name| name == tenant.name()));
    }
    tally.take(prompts::search(tenant, pages.max_prompts).await);
    let found = tally.take(experiments::search(tenant, pages.max_experiments, "").await);
    for experiment in found.into_iter().flatten().take(pages.browse_experiments) {
        if clock::stopping() {
            tally.break_off();
        }
        if tally.is_stopped() {
            return;
        }
        tally.take(experiments::get(tenant, &experiment.experiment_id).await);
        let found = tally.take(runs::search(tenant, &experiment.experiment_id, pages.max_runs).await);
        for run in found.into_iter().flatten().take(pages.browse_runs) {
            if tally.is_stopped() {
                return;
            }
            tally.take(runs::get(tenant, &run.run_id).await);
            let Some(listed) = tally.take(runs::artifacts(tenant, &run.run_id).await) else { continue };
            let Some(file) = any_file(&listed, random::below) else { continue };
            if let Some(bytes) = tally.take(artifacts::fetch(tenant, &run.artifact_uri, &file.path).await) {
                tally.check("an artifact comes whole", file.file_size.is_none_or(|size| size == bytes));
            }
        }
    }
}

/// One of the files, no folder; `below` draws a number below its argument.
fn any_file(listed: &[Artifact], below: impl Fn(u64) -> u64) -> Option<&Artifact> {
    let files: Vec<&Artifact> = listed.iter().filter(|artifact| !artifact.is_dir).collect();
    files.get(below(files.len() as u64) as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsing_takes_at_most_58_requests() {
        assert_eq!(Pages::default().requests(), 58);
    }

    #[test]
    fn folders_are_not_fetched() {
        let artifact = |path: &str, is_dir| Artifact { path: path.into(), is_dir, file_size: None };
        let listed = [artifact("sub", true), artifact("a", false), artifact("b", false)];
        assert_eq!(any_file(&listed, |bound| bound - 1).unwrap().path, "b");
        assert!(any_file(&listed[..1], |_| 0).is_none());
    }
}
