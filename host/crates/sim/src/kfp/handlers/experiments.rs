//! Calls about experiments, which are folders for runs.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::kfp::error::ApiError;
use crate::kfp::json::{ApiResult, PageBody, nothing, parse_id, read, write};
use crate::kfp::rows::experiment::{EXPERIMENTS, Experiment, StorageState};
use crate::kfp::store::Store;
use crate::kfp::table::unique_name;
use crate::query::Query;

/// The body of a creation. Fields that only the server sets are read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentRequest {
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    description: Option<String>,
    namespace: Option<String>,
    #[serde(rename = "experiment_id", alias = "experimentId")]
    _experiment_id: Option<IgnoredAny>,
    #[serde(rename = "created_at", alias = "createdAt")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "storage_state", alias = "storageState")]
    _storage_state: Option<IgnoredAny>,
    #[serde(rename = "last_run_created_at", alias = "lastRunCreatedAt")]
    _last_run_created_at: Option<IgnoredAny>,
}

impl Store {
    /// POST /experiments
    pub(crate) fn create_experiment(&mut self, body: &[u8]) -> ApiResult {
        let input: ExperimentRequest = read(body)?;
        let context = "Failed to create an experiment";
        let name = input.display_name.unwrap_or_default();
        if name.is_empty() {
            return Err(ApiError::internal(context, "Invalid input error: Experiment must have a non-empty name"));
        }
        if name.len() > 128 {
            return Err(ApiError::invalid(context, "Experiment name is longer than 128 characters"));
        }
        let namespace = self.namespace_of(input.namespace.as_deref());
        if self.experiments.named(&unique_name(&namespace, &name)).is_some() {
            let text =
                format!("Failed to create a new experiment. The name {name} already exists. Please specify a new name");
            return Err(ApiError::exists(context, text));
        }
        let experiment = Experiment::new(self.id(), self.now(), namespace, name, input.description.unwrap_or_default());
        let answer = write(&experiment);
        self.experiments.insert(experiment);
        self.telemetry.experiments += 1;
        answer
    }

    /// GET /experiments
    pub(crate) fn list_experiments(&self, query: &Query) -> ApiResult {
        let page = EXPERIMENTS.page(&self.experiments, self.namespace_of_list(query), query, |_, _| None)?;
        write(&PageBody { name: "experiments", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /experiments/{id}
    pub(crate) fn get_experiment(&self, id: &str) -> ApiResult {
        let found = self.experiments.get(parse_id(id));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get an experiment", "Experiment", id))?)
    }

    /// DELETE /experiments/{id}: its runs stay.
    pub(crate) fn delete_experiment(&mut self, id: &str) -> ApiResult {
        let context = "Failed to delete an experiment";
        let key = parse_id(id);
        if key == self.default_experiment {
            return Err(ApiError::aborted(context, "Cannot delete the default experiment"));
        }
        self.experiments.remove(key).ok_or_else(|| ApiError::not_found(context, "Experiment", id))?;
        self.telemetry.experiments -= 1;
        nothing()
    }

    /// POST /experiments/{id}:archive and :unarchive. Archiving takes the runs along and stops recurring ones; an unknown
    /// id is no error.
    pub(crate) fn archive_experiment(&mut self, id: &str, storage: StorageState) -> ApiResult {
        let key = parse_id(id);
        if let Some(experiment) = self.experiments.get_mut(key) {
            experiment.storage_state = storage;
        }
        if storage == StorageState::Archived {
            for id in self.runs.ids(Some(key)) {
                self.set_run_storage(id, StorageState::Archived);
            }
            self.disable_recurring_runs(key);
        }
        nothing()
    }
}
