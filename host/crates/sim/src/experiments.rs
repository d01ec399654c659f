//! Experiments: folders for runs.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ApiError;
use crate::list::{Field, Listing};
use crate::query::Query;
use crate::stamp::{Nanos, Stamp, seconds};
use crate::store::{Answer, PageBody, Store, nothing, parse_id, read, shared_text, write};
use crate::table::{Row, namespace_key, unique_name};

/// Whether something was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Storage {
    Available,
    Archived,
}

impl Storage {
    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Archived => "ARCHIVED",
        }
    }
}

/// An experiment as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Experiment {
    pub(crate) experiment_id: Uuid,
    pub(crate) display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    created_at: Stamp,
    #[serde(skip_serializing_if = "str::is_empty", serialize_with = "shared_text")]
    pub(crate) namespace: Arc<str>,
    pub(crate) storage_state: Storage,
    pub(crate) last_run_created_at: Stamp,
    #[serde(skip)]
    created: u32,
}

impl Experiment {
    /// An available experiment without runs.
    pub(crate) fn new(
        experiment_id: Uuid,
        now: Nanos,
        namespace: Arc<str>,
        display_name: String,
        description: String,
    ) -> Self {
        Self {
            experiment_id,
            display_name,
            description,
            namespace,
            created_at: Stamp::of(now),
            storage_state: Storage::Available,
            last_run_created_at: Stamp::Epoch(0),
            created: seconds(now),
        }
    }
}

impl Row for Experiment {
    fn id(&self) -> Uuid {
        self.experiment_id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parents(&self) -> [Option<Uuid>; 3] {
        [Some(namespace_key(&self.namespace)), None, None]
    }
    fn unique(&self) -> Option<String> {
        Some(unique_name(&self.namespace, &self.display_name))
    }
}

const LISTING: Listing<Experiment> = Listing {
    noun: "Experiment",
    keys: &[
        "experiment_id",
        "id",
        "name",
        "display_name",
        "created_at",
        "last_run_created_at",
        "description",
        "namespace",
        "storage_state",
    ],
    parent: None,
    column: |row, key| {
        Some(match key {
            "experiment_id" | "id" => Field::Id(row.experiment_id),
            "name" | "display_name" => Field::text(&row.display_name),
            "created_at" => Field::Number(row.created.into()),
            "last_run_created_at" => match row.last_run_created_at {
                Stamp::Epoch(at) => Field::Number(at.into()),
                Stamp::Never => Field::Number(0),
            },
            "description" => Field::text(&row.description),
            "namespace" => Field::text(&row.namespace),
            "storage_state" => Field::text(row.storage_state.name()),
            _ => return None,
        })
    },
};

/// What a client may send; what only the server sets is read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentIn {
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
    pub(crate) fn create_experiment(&mut self, body: &[u8]) -> Answer {
        let input: ExperimentIn = read(body)?;
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
    pub(crate) fn list_experiments(&self, query: &Query) -> Answer {
        let page = LISTING.page(&self.experiments, self.namespace_of_list(query), query, |_, _| None)?;
        write(&PageBody { name: "experiments", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /experiments/{id}
    pub(crate) fn get_experiment(&self, id: &str) -> Answer {
        let found = self.experiments.get(parse_id(id));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get an experiment", "Experiment", id))?)
    }

    /// DELETE /experiments/{id}: its runs stay.
    pub(crate) fn delete_experiment(&mut self, id: &str) -> Answer {
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
    pub(crate) fn store_experiment(&mut self, id: &str, storage: Storage) -> Answer {
        let key = parse_id(id);
        if let Some(experiment) = self.experiments.get_mut(key) {
            experiment.storage_state = storage;
        }
        if storage == Storage::Archived {
            for id in self.runs.ids(Some(key)) {
                self.put_aside(id, Storage::Archived);
            }
            self.disable_all(key);
        }
        nothing()
    }
}
