//! Rows of pipelines and of their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::kfp::json::shared_text;
use crate::kfp::list::{ColumnValue, ListSchema};
use crate::kfp::spec::Spec;
use crate::kfp::table::{Row, namespace_key, unique_name};
use crate::timestamp::Timestamp;

/// Labels that the user chose.
pub(crate) type Tags = BTreeMap<String, String>;

/// A pipeline as the API shows it; what it does is in its versions.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pipeline {
    pub(crate) pipeline_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) created_at: Timestamp,
    #[serde(skip_serializing_if = "str::is_empty", serialize_with = "shared_text")]
    pub(crate) namespace: Arc<str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip)]
    pub(crate) created: u32,
}

/// A version of a pipeline as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Version {
    pub(crate) pipeline_id: Uuid,
    pub(crate) pipeline_version_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) created_at: Timestamp,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) code_source_url: String,
    #[serde(serialize_with = "rendered")]
    pub(crate) pipeline_spec: Arc<Spec>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip)]
    pub(crate) created: u32,
}

fn rendered<S: serde::Serializer>(spec: &Arc<Spec>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = &spec.rendered;
    raw.serialize(serializer)
}

impl Row for Pipeline {
    fn id(&self) -> Uuid {
        self.pipeline_id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parents(&self) -> [Option<Uuid>; 3] {
        [Some(namespace_key(&self.namespace)), None, None]
    }
    fn unique(&self) -> Option<String> {
        Some(unique_name(&self.namespace, &self.name))
    }
}

impl Row for Version {
    fn id(&self) -> Uuid {
        self.pipeline_version_id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parents(&self) -> [Option<Uuid>; 3] {
        [Some(self.pipeline_id), None, None]
    }
    fn unique(&self) -> Option<String> {
        Some(version_name(self.pipeline_id, &self.name))
    }
}

/// The unique name of a version: of its pipeline and its own.
pub(crate) fn version_name(pipeline: Uuid, name: &str) -> String {
    unique_name(pipeline.hyphenated().encode_lower(&mut Uuid::encode_buffer()), name)
}

fn tag<'a>(tags: &'a Tags, key: &str) -> Option<ColumnValue<'a>> {
    tags.get(key.strip_prefix("tags.")?).map(|value| ColumnValue::text(value))
}

pub(crate) const PIPELINES: ListSchema<Pipeline> = ListSchema {
    noun: "Pipeline",
    keys: &["pipeline_id", "id", "name", "display_name", "created_at", "description", "namespace"],
    parent: None,
    column: |row, key| {
        Some(match key {
            "pipeline_id" | "id" => ColumnValue::Id(row.pipeline_id),
            "name" => ColumnValue::text(&row.name),
            "display_name" => ColumnValue::text(&row.display_name),
            "created_at" => ColumnValue::Number(row.created.into()),
            "description" => ColumnValue::text(&row.description),
            "namespace" => ColumnValue::text(&row.namespace),
            _ => return tag(&row.tags, key),
        })
    },
};

pub(crate) const VERSIONS: ListSchema<Version> = ListSchema {
    noun: "PipelineVersion",
    keys: &[
        "pipeline_version_id",
        "id",
        "name",
        "display_name",
        "created_at",
        "status",
        "description",
        "pipeline_spec",
    ],
    parent: None,
    column: |row, key| {
        Some(match key {
            "pipeline_version_id" | "id" => ColumnValue::Id(row.pipeline_version_id),
            "name" => ColumnValue::text(&row.name),
            "display_name" => ColumnValue::text(&row.display_name),
            "created_at" => ColumnValue::Number(row.created.into()),
            "status" => ColumnValue::text("READY"),
            "description" => ColumnValue::text(&row.description),
            "pipeline_spec" => ColumnValue::text(row.pipeline_spec.rendered.get()),
            _ => return tag(&row.tags, key),
        })
    },
};

/// A name, description or tags that the server refuses; the text is the server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("{noun}'s name cannot be empty")]
    NoName { noun: &'static str },
    #[error("{noun}'s name must contain no more than {limit} characters")]
    LongName { noun: &'static str, limit: usize },
    #[error("namespace must contain no more than 63 characters")]
    LongNamespace,
    #[error("tags must be at most 20, with keys and values of at most 63 characters, keys without '.'")]
    Tags,
}

/// The name, description and tags of a pipeline or a version.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) code_source_url: String,
    pub(crate) namespace: String,
    pub(crate) tags: Tags,
}

impl Metadata {
    /// Takes either name for the other where one is missing, and checks the lengths; `limit` in bytes.
    ///
    /// # Errors
    /// No name, or too long or too many texts.
    pub(crate) fn completed(mut self, noun: &'static str, limit: usize) -> Result<Self, MetadataError> {
        if self.name.is_empty() {
            self.name.clone_from(&self.display_name);
        }
        if self.display_name.is_empty() {
            self.display_name.clone_from(&self.name);
        }
        if self.name.is_empty() {
            return Err(MetadataError::NoName { noun });
        }
        if self.name.len() > limit {
            return Err(MetadataError::LongName { noun, limit });
        }
        if self.namespace.len() > 63 {
            return Err(MetadataError::LongNamespace);
        }
        check_tags(&self.tags)?;
        Ok(self)
    }
}

/// Checks how many tags there are, and how long.
///
/// # Errors
/// There are too many, or one is not acceptable.
pub(crate) fn check_tags(tags: &Tags) -> Result<(), MetadataError> {
    let bad = |key: &str, value: &str| {
        key.is_empty() || key.contains('.') || key.chars().count() > 63 || value.chars().count() > 63
    };
    if tags.len() > 20 || tags.iter().any(|(k, v)| bad(k, v)) {
        return Err(MetadataError::Tags);
    }
    Ok(())
}
