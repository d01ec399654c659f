//! Pipelines and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::ApiError;
use crate::list::{Field, Listing};
use crate::query::Query;
use crate::spec::Spec;
use crate::stamp::{Nanos, Stamp, seconds};
use crate::store::{Answer, PageBody, Store, nothing, parse_id, read, shared_text, write};
use crate::table::{Row, namespace_key, unique_name};

/// Labels that the user chose.
pub(crate) type Tags = BTreeMap<String, String>;

/// A pipeline as the API shows it; what it does is in its versions.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pipeline {
    pub(crate) pipeline_id: Uuid,
    display_name: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    created_at: Stamp,
    #[serde(skip_serializing_if = "str::is_empty", serialize_with = "shared_text")]
    pub(crate) namespace: Arc<str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: Tags,
    #[serde(skip)]
    created: u32,
}

/// A version of a pipeline as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    pub(crate) pipeline_id: Uuid,
    pub(crate) pipeline_version_id: Uuid,
    display_name: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    created_at: Stamp,
    #[serde(skip_serializing_if = "String::is_empty")]
    code_source_url: String,
    #[serde(serialize_with = "rendered")]
    pub(crate) pipeline_spec: Arc<Spec>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: Tags,
    #[serde(skip)]
    created: u32,
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

fn version_name(pipeline: Uuid, name: &str) -> String {
    unique_name(pipeline.hyphenated().encode_lower(&mut Uuid::encode_buffer()), name)
}

fn tag<'a>(tags: &'a Tags, key: &str) -> Option<Field<'a>> {
    tags.get(key.strip_prefix("tags.")?).map(|value| Field::text(value))
}

const PIPELINES: Listing<Pipeline> = Listing {
    noun: "Pipeline",
    keys: &["pipeline_id", "id", "name", "display_name", "created_at", "description", "namespace"],
    parent: None,
    column: |row, key| {
        Some(match key {
            "pipeline_id" | "id" => Field::Id(row.pipeline_id),
            "name" => Field::text(&row.name),
            "display_name" => Field::text(&row.display_name),
            "created_at" => Field::Number(row.created.into()),
            "description" => Field::text(&row.description),
            "namespace" => Field::text(&row.namespace),
            _ => return tag(&row.tags, key),
        })
    },
};

const VERSIONS: Listing<Version> = Listing {
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
            "pipeline_version_id" | "id" => Field::Id(row.pipeline_version_id),
            "name" => Field::text(&row.name),
            "display_name" => Field::text(&row.display_name),
            "created_at" => Field::Number(row.created.into()),
            "status" => Field::text("READY"),
            "description" => Field::text(&row.description),
            "pipeline_spec" => Field::text(row.pipeline_spec.rendered.get()),
            _ => return tag(&row.tags, key),
        })
    },
};

/// What a pipeline or a version is called and described as.
#[derive(Debug, Default)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) code_source_url: String,
    pub(crate) namespace: String,
    pub(crate) tags: Tags,
}

impl Label {
    /// Either name stands in for the other. Checks the lengths; `limit` in bytes.
    ///
    /// # Errors
    /// The text that the server answers.
    pub(crate) fn completed(mut self, noun: &str, limit: usize) -> Result<Self, String> {
        if self.name.is_empty() {
            self.name.clone_from(&self.display_name);
        }
        if self.display_name.is_empty() {
            self.display_name.clone_from(&self.name);
        }
        if self.name.is_empty() {
            return Err(format!("{noun}'s name cannot be empty"));
        }
        if self.name.len() > limit {
            return Err(format!("{noun}'s name must contain no more than {limit} characters"));
        }
        if self.namespace.len() > 63 {
            return Err("namespace must contain no more than 63 characters".to_owned());
        }
        check_tags(&self.tags)?;
        Ok(self)
    }
}

fn check_tags(tags: &Tags) -> Result<(), String> {
    let bad = |key: &str, value: &str| {
        key.is_empty() || key.contains('.') || key.chars().count() > 63 || value.chars().count() > 63
    };
    if tags.len() > 20 || tags.iter().any(|(k, v)| bad(k, v)) {
        return Err("tags must be at most 20, with keys and values of at most 63 characters, keys without '.'".into());
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineIn {
    name: Option<String>,
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    description: Option<String>,
    tags: Option<Tags>,
    namespace: Option<String>,
    #[serde(rename = "pipeline_id", alias = "pipelineId")]
    _pipeline_id: Option<IgnoredAny>,
    #[serde(rename = "created_at", alias = "createdAt")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionIn {
    #[serde(alias = "pipelineId")]
    pipeline_id: Option<String>,
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    tags: Option<Tags>,
    #[serde(alias = "packageUrl")]
    package_url: Option<PackageUrl>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "code_source_url", alias = "codeSourceUrl")]
    _code_source_url: Option<IgnoredAny>,
    #[serde(rename = "pipeline_version_id", alias = "pipelineVersionId")]
    _pipeline_version_id: Option<IgnoredAny>,
    #[serde(rename = "created_at", alias = "createdAt")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "pipeline_spec", alias = "pipelineSpec")]
    _pipeline_spec: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BothIn {
    pipeline: Option<PipelineIn>,
    #[serde(alias = "pipelineVersion")]
    pipeline_version: Option<VersionIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageUrl {
    #[serde(alias = "pipelineUrl")]
    pipeline_url: Option<String>,
}

/// Why something could not be stored under its name.
#[derive(Debug)]
pub(crate) enum NotStored {
    /// The name is taken.
    Taken(String),
    /// The input is wrong.
    Invalid(String),
}

impl Store {
    /// Adds a pipeline without versions.
    ///
    /// # Errors
    /// The name is missing, too long or taken.
    pub(crate) fn add_pipeline(&mut self, label: Label) -> Result<Pipeline, NotStored> {
        self.add_pipeline_at(self.now(), label)
    }

    /// As [`Store::add_pipeline`], made at `now`.
    pub(crate) fn add_pipeline_at(&mut self, now: Nanos, label: Label) -> Result<Pipeline, NotStored> {
        let label = label.completed("pipeline", 128).map_err(NotStored::Invalid)?;
        let namespace = self.namespace_of(Some(&label.namespace));
        if self.pipelines.named(&unique_name(&namespace, &label.name)).is_some() {
            let name = label.name;
            return Err(NotStored::Taken(format!(
                "Failed to create a new pipeline. The name {name} already exists. Please specify a new name"
            )));
        }
        let pipeline = Pipeline {
            pipeline_id: self.id(),
            display_name: label.display_name,
            name: label.name,
            description: label.description,
            created_at: Stamp::of(now),
            namespace,
            tags: label.tags,
            created: seconds(now),
        };
        self.pipelines.insert(pipeline.clone());
        self.telemetry.pipelines += 1;
        Ok(pipeline)
    }

    /// Adds a version to a pipeline that exists.
    ///
    /// # Errors
    /// The name is missing, too long or taken.
    pub(crate) fn add_version(&mut self, pipeline: Uuid, label: Label, spec: Arc<Spec>) -> Result<&Version, NotStored> {
        self.add_version_at(self.now(), pipeline, label, spec)
    }

    /// As [`Store::add_version`], made at `now`.
    pub(crate) fn add_version_at(
        &mut self,
        now: Nanos,
        pipeline: Uuid,
        label: Label,
        spec: Arc<Spec>,
    ) -> Result<&Version, NotStored> {
        let label = label.completed("pipeline version", 127).map_err(NotStored::Invalid)?;
        if self.versions.named(&version_name(pipeline, &label.name)).is_some() {
            let name = label.name;
            return Err(NotStored::Taken(format!(
                "Failed to create a new pipeline version. The name {name} already exists. Please specify a new name"
            )));
        }
        let id = self.id();
        self.versions.insert(Version {
            pipeline_id: pipeline,
            pipeline_version_id: id,
            display_name: label.display_name,
            name: label.name,
            description: label.description,
            created_at: Stamp::of(now),
            code_source_url: label.code_source_url,
            pipeline_spec: spec,
            tags: label.tags,
            created: seconds(now),
        });
        self.telemetry.versions += 1;
        self.versions.get(id).ok_or_else(|| NotStored::Invalid("the version was not kept".to_owned()))
    }

    /// The version that runs use which name none.
    pub(crate) fn latest_version(&self, pipeline: Uuid) -> Option<&Version> {
        self.versions.rows(Some(pipeline)).next_back()
    }

    /// POST /pipelines
    pub(crate) fn create_pipeline(&mut self, body: &[u8]) -> Answer {
        let input: PipelineIn = read(body)?;
        let context = "Failed to create a pipeline";
        let label = Label {
            name: input.name.unwrap_or_default(),
            display_name: input.display_name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            namespace: input.namespace.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            ..Label::default()
        };
        match self.add_pipeline(label) {
            Ok(pipeline) => write(&pipeline),
            Err(NotStored::Taken(text)) => Err(ApiError::exists(context, text)),
            Err(NotStored::Invalid(text)) => Err(ApiError::invalid(context, text)),
        }
    }

    /// GET /pipelines
    pub(crate) fn list_pipelines(&self, query: &Query) -> Answer {
        let page = PIPELINES.page(&self.pipelines, self.namespace_of_list(query), query, |_, _| None)?;
        write(&PageBody { name: "pipelines", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /pipelines/{id}
    pub(crate) fn get_pipeline(&self, id: &str) -> Answer {
        write(self.pipeline("Failed to get a pipeline", id)?)
    }

    /// GET /pipelines/names/{name}
    pub(crate) fn get_pipeline_by_name(&self, name: &str, query: &Query) -> Answer {
        let namespace = self.namespace_of(query.get("namespace"));
        let found = self.pipelines.named(&unique_name(&namespace, name));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get a pipeline by name", "Pipeline", name))?)
    }

    /// PATCH /pipelines/{id}: display name and tags.
    pub(crate) fn update_pipeline(&mut self, id: &str, body: &[u8]) -> Answer {
        let input: PipelineIn = read(body)?;
        let context = "Failed to update a pipeline";
        let missing = || ApiError::not_found(context, "Pipeline", id);
        input.tags.as_ref().map_or(Ok(()), check_tags).map_err(|text| ApiError::invalid(context, text))?;
        let pipeline = self.pipelines.get_mut(parse_id(id)).ok_or_else(missing)?;
        pipeline.display_name = input.display_name.unwrap_or(std::mem::take(&mut pipeline.display_name));
        pipeline.tags = input.tags.unwrap_or(std::mem::take(&mut pipeline.tags));
        write(&*pipeline)
    }

    /// DELETE /pipelines/{id}
    pub(crate) fn delete_pipeline(&mut self, id: &str, query: &Query) -> Answer {
        let context = "Failed to delete a pipeline";
        let key = self.pipeline(context, id)?.pipeline_id;
        let versions = self.versions.ids(Some(key));
        if !versions.is_empty() && query.get("cascade") != Some("true") {
            let text = format!("Failed to delete pipeline with id {id} as it has existing pipeline versions");
            return Err(ApiError::invalid(context, text));
        }
        for version in versions {
            self.versions.remove(version);
            self.telemetry.versions -= 1;
        }
        self.pipelines.remove(key);
        self.telemetry.pipelines -= 1;
        nothing()
    }

    /// POST /pipelines/{id}/versions: fetches from the internet, which the simulated server has no way to.
    pub(crate) fn create_version(&self, id: &str, body: &[u8]) -> Answer {
        let input: VersionIn = read(body)?;
        let context = "Failed to create a pipeline version";
        if input.pipeline_id.as_deref() != Some(id) {
            return Err(ApiError::invalid(context, "pipeline ids in the path and in the body must be the same"));
        }
        self.pipeline(context, id)?;
        let url = input.package_url.and_then(|p| p.pipeline_url).unwrap_or_default();
        Err(ApiError::invalid(context, format!("Failed to download the pipeline from {url:?}: upload it instead")))
    }

    /// POST /pipelines/create: a pipeline and its first version, fetched from the internet like any other version.
    pub(crate) fn create_pipeline_and_version(&self, body: &[u8]) -> Answer {
        let input: BothIn = read(body)?;
        let context = "Failed to create a new pipeline and a new pipeline version";
        if input.pipeline.is_none() {
            return Err(ApiError::invalid(context, "Pipeline cannot be empty"));
        }
        let url = input.pipeline_version.and_then(|v| v.package_url).and_then(|p| p.pipeline_url).unwrap_or_default();
        if url.is_empty() {
            return Err(ApiError::invalid(context, "Pipeline URL cannot be empty"));
        }
        Err(ApiError::invalid(context, format!("Failed to download the pipeline from {url:?}: upload it instead")))
    }

    /// GET /pipelines/{id}/versions
    pub(crate) fn list_versions(&self, pipeline: &str, query: &Query) -> Answer {
        let page = VERSIONS.page(&self.versions, Some(parse_id(pipeline)), query, |_, _| None)?;
        write(&PageBody { name: "pipeline_versions", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /pipelines/{id}/versions/{version}
    pub(crate) fn get_version(&self, id: &str) -> Answer {
        let found = self.versions.get(parse_id(id));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get a pipeline version", "PipelineVersion", id))?)
    }

    /// PATCH /pipelines/{id}/versions/{version}: display name and tags.
    pub(crate) fn update_version(&mut self, id: &str, body: &[u8]) -> Answer {
        let input: VersionIn = read(body)?;
        let context = "Failed to update a pipeline version";
        let missing = || ApiError::not_found(context, "PipelineVersion", id);
        input.tags.as_ref().map_or(Ok(()), check_tags).map_err(|text| ApiError::invalid(context, text))?;
        let version = self.versions.get_mut(parse_id(id)).ok_or_else(missing)?;
        version.display_name = input.display_name.unwrap_or(std::mem::take(&mut version.display_name));
        version.tags = input.tags.unwrap_or(std::mem::take(&mut version.tags));
        write(&*version)
    }

    /// DELETE /pipelines/{id}/versions/{version}: whose version it is does not matter, as on the real server.
    pub(crate) fn delete_version(&mut self, id: &str) -> Answer {
        let missing = || ApiError::not_found("Failed to delete a pipeline version", "PipelineVersion", id);
        self.versions.remove(parse_id(id)).ok_or_else(missing)?;
        self.telemetry.versions -= 1;
        nothing()
    }

    fn pipeline(&self, context: &str, id: &str) -> Result<&Pipeline, ApiError> {
        self.pipelines.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Pipeline", id))
    }
}
