//! Rows of experiments.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::kfp::json::shared_text;
use crate::kfp::list::{ColumnValue, ListSchema};
use crate::kfp::table::{Row, namespace_key, unique_name};
use crate::timestamp::{Nanos, Timestamp, seconds};

/// Whether an experiment or a run is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum StorageState {
    Available,
    Archived,
}

impl StorageState {
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
    created_at: Timestamp,
    #[serde(skip_serializing_if = "str::is_empty", serialize_with = "shared_text")]
    pub(crate) namespace: Arc<str>,
    pub(crate) storage_state: StorageState,
    pub(crate) last_run_created_at: Timestamp,
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
            created_at: Timestamp::of(now),
            storage_state: StorageState::Available,
            last_run_created_at: Timestamp::Epoch(0),
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

pub(crate) const EXPERIMENTS: ListSchema<Experiment> = ListSchema {
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
            "experiment_id" | "id" => ColumnValue::Id(row.experiment_id),
            "name" | "display_name" => ColumnValue::text(&row.display_name),
            "created_at" => ColumnValue::Number(row.created.into()),
            "last_run_created_at" => match row.last_run_created_at {
                Timestamp::Epoch(at) => ColumnValue::Number(at.into()),
                Timestamp::Never => ColumnValue::Number(0),
            },
            "description" => ColumnValue::text(&row.description),
            "namespace" => ColumnValue::text(&row.namespace),
            "storage_state" => ColumnValue::text(row.storage_state.name()),
            _ => return None,
        })
    },
};
