//! Calls about pipelines and their versions.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::kfp::error::ApiError;
use crate::kfp::json::{ApiResult, PageBody, nothing, parse_id, read, write};
use crate::kfp::rows::pipeline::{
    Metadata, MetadataError, PIPELINES, Pipeline, Tags, VERSIONS, Version, check_tags, version_name,
};
use crate::kfp::spec::Spec;
use crate::kfp::store::Store;
use crate::kfp::table::unique_name;
use crate::query::Query;
use crate::timestamp::{Nanos, Timestamp, seconds};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineRequest {
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
struct VersionRequest {
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
struct PipelineAndVersionRequest {
    pipeline: Option<PipelineRequest>,
    #[serde(alias = "pipelineVersion")]
    pipeline_version: Option<VersionRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageUrl {
    #[serde(alias = "pipelineUrl")]
    pipeline_url: Option<String>,
}

/// A pipeline or a version that could not be added; the text is the server's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    #[error("Failed to create a new {noun}. The name {name} already exists. Please specify a new name")]
    NameTaken { noun: &'static str, name: String },
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Store {
    /// Adds a pipeline without versions, made at `now`.
    ///
    /// # Errors
    /// The name is missing, too long or taken.
    pub(crate) fn add_pipeline(&mut self, now: Nanos, metadata: Metadata) -> Result<Pipeline, AddError> {
        let metadata = metadata.completed("pipeline", 128)?;
        let namespace = self.namespace_of(Some(&metadata.namespace));
        if self.pipelines.named(&unique_name(&namespace, &metadata.name)).is_some() {
            return Err(AddError::NameTaken { noun: "pipeline", name: metadata.name });
        }
        let pipeline = Pipeline {
            pipeline_id: self.id(),
            display_name: metadata.display_name,
            name: metadata.name,
            description: metadata.description,
            created_at: Timestamp::of(now),
            namespace,
            tags: metadata.tags,
            created: seconds(now),
        };
        self.pipelines.insert(pipeline.clone());
        self.telemetry.pipelines += 1;
        Ok(pipeline)
    }

    /// Adds a version, made at `now`, to a pipeline that exists.
    ///
    /// # Errors
    /// The name is missing, too long or taken.
    pub(crate) fn add_version(
        &mut self,
        now: Nanos,
        pipeline: Uuid,
        metadata: Metadata,
        spec: Arc<Spec>,
    ) -> Result<Version, AddError> {
        let metadata = metadata.completed("pipeline version", 127)?;
        if self.versions.named(&version_name(pipeline, &metadata.name)).is_some() {
            return Err(AddError::NameTaken { noun: "pipeline version", name: metadata.name });
        }
        let version = Version {
            pipeline_id: pipeline,
            pipeline_version_id: self.id(),
            display_name: metadata.display_name,
            name: metadata.name,
            description: metadata.description,
            created_at: Timestamp::of(now),
            code_source_url: metadata.code_source_url,
            pipeline_spec: spec,
            tags: metadata.tags,
            created: seconds(now),
        };
        self.versions.insert(version.clone());
        self.telemetry.versions += 1;
        Ok(version)
    }

    /// The version that runs use which name none.
    pub(crate) fn latest_version(&self, pipeline: Uuid) -> Option<&Version> {
        self.versions.rows(Some(pipeline)).next_back()
    }

    /// POST /pipelines
    pub(crate) fn create_pipeline(&mut self, body: &[u8]) -> ApiResult {
        let input: PipelineRequest = read(body)?;
        let context = "Failed to create a pipeline";
        let metadata = Metadata {
            name: input.name.unwrap_or_default(),
            display_name: input.display_name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            namespace: input.namespace.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            ..Metadata::default()
        };
        match self.add_pipeline(self.now(), metadata) {
            Ok(pipeline) => write(&pipeline),
            Err(error @ AddError::NameTaken { .. }) => Err(ApiError::exists(context, error.to_string())),
            Err(AddError::Metadata(error)) => Err(ApiError::invalid(context, error.to_string())),
        }
    }

    /// GET /pipelines
    pub(crate) fn list_pipelines(&self, query: &Query) -> ApiResult {
        let page = PIPELINES.page(&self.pipelines, self.namespace_of_list(query), query, |_, _| None)?;
        write(&PageBody { name: "pipelines", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /pipelines/{id}
    pub(crate) fn get_pipeline(&self, id: &str) -> ApiResult {
        write(self.pipeline("Failed to get a pipeline", id)?)
    }

    /// GET /pipelines/names/{name}
    pub(crate) fn get_pipeline_by_name(&self, name: &str, query: &Query) -> ApiResult {
        let namespace = self.namespace_of(query.get("namespace"));
        let found = self.pipelines.named(&unique_name(&namespace, name));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get a pipeline by name", "Pipeline", name))?)
    }

    /// PATCH /pipelines/{id}: display name and tags.
    pub(crate) fn update_pipeline(&mut self, id: &str, body: &[u8]) -> ApiResult {
        let input: PipelineRequest = read(body)?;
        let context = "Failed to update a pipeline";
        let missing = || ApiError::not_found(context, "Pipeline", id);
        input
            .tags
            .as_ref()
            .map_or(Ok(()), check_tags)
            .map_err(|error| ApiError::invalid(context, error.to_string()))?;
        let pipeline = self.pipelines.get_mut(parse_id(id)).ok_or_else(missing)?;
        pipeline.display_name = input.display_name.unwrap_or(std::mem::take(&mut pipeline.display_name));
        pipeline.tags = input.tags.unwrap_or(std::mem::take(&mut pipeline.tags));
        write(&*pipeline)
    }

    /// DELETE /pipelines/{id}
    pub(crate) fn delete_pipeline(&mut self, id: &str, query: &Query) -> ApiResult {
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
    pub(crate) fn create_version(&self, id: &str, body: &[u8]) -> ApiResult {
        let input: VersionRequest = read(body)?;
        let context = "Failed to create a pipeline version";
        if input.pipeline_id.as_deref() != Some(id) {
            return Err(ApiError::invalid(context, "pipeline ids in the path and in the body must be the same"));
        }
        self.pipeline(context, id)?;
        let url = input.package_url.and_then(|p| p.pipeline_url).unwrap_or_default();
        Err(ApiError::invalid(context, format!("Failed to download the pipeline from {url:?}: upload it instead")))
    }

    /// POST /pipelines/create: a pipeline and its first version, fetched from the internet like any other version.
    pub(crate) fn create_pipeline_and_version(&self, body: &[u8]) -> ApiResult {
        let input: PipelineAndVersionRequest = read(body)?;
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
    pub(crate) fn list_versions(&self, pipeline: &str, query: &Query) -> ApiResult {
        let page = VERSIONS.page(&self.versions, Some(parse_id(pipeline)), query, |_, _| None)?;
        write(&PageBody { name: "pipeline_versions", rows: page.rows, total: page.total, next: page.next })
    }

    /// GET /pipelines/{id}/versions/{version}
    pub(crate) fn get_version(&self, id: &str) -> ApiResult {
        let found = self.versions.get(parse_id(id));
        write(found.ok_or_else(|| ApiError::not_found("Failed to get a pipeline version", "PipelineVersion", id))?)
    }

    /// PATCH /pipelines/{id}/versions/{version}: display name and tags.
    pub(crate) fn update_version(&mut self, id: &str, body: &[u8]) -> ApiResult {
        let input: VersionRequest = read(body)?;
        let context = "Failed to update a pipeline version";
        let missing = || ApiError::not_found(context, "PipelineVersion", id);
        input
            .tags
            .as_ref()
            .map_or(Ok(()), check_tags)
            .map_err(|error| ApiError::invalid(context, error.to_string()))?;
        let version = self.versions.get_mut(parse_id(id)).ok_or_else(missing)?;
        version.display_name = input.display_name.unwrap_or(std::mem::take(&mut version.display_name));
        version.tags = input.tags.unwrap_or(std::mem::take(&mut version.tags));
        write(&*version)
    }

    /// DELETE /pipelines/{id}/versions/{version}: whose version it is does not matter, as on the real server.
    pub(crate) fn delete_version(&mut self, id: &str) -> ApiResult {
        let missing = || ApiError::not_found("Failed to delete a pipeline version", "PipelineVersion", id);
        self.versions.remove(parse_id(id)).ok_or_else(missing)?;
        self.telemetry.versions -= 1;
        nothing()
    }

    fn pipeline(&self, context: &str, id: &str) -> Result<&Pipeline, ApiError> {
        self.pipelines.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Pipeline", id))
    }
}
