//! The two upload routes: a file in a multipart form becomes a pipeline or a version.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use crate::kfp::error::UploadError;
use crate::kfp::handlers::pipelines::AddError;
use crate::kfp::json::parse_id;
use crate::kfp::rows::pipeline::{Metadata, Tags};
use crate::kfp::spec::Spec;
use crate::kfp::store::Store;
use crate::query::Query;

/// Largest file taken, in bytes, before unpacking.
const MAX_FILE: usize = 32 << 20;
/// Of an archive's member no more is read, in bytes: a small archive must not fill the memory.
const MAX_UNPACKED: u64 = 256 << 20;
const PIPELINE: &str = "Failed to create a pipeline and a pipeline version";
const VERSION: &str = "Failed to create a pipeline version";

/// An upload without a specification; the text is the server's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Form(#[from] multer::Error),
    #[error("http: no such file")]
    NoFile,
    #[error("File size too large. Maximum supported size: {MAX_FILE}")]
    TooLarge,
    #[error("Error extracting pipeline from the tarball file: {0}")]
    Tarball(#[source] std::io::Error),
    #[error("Error extracting pipeline from the zip file: {0}")]
    Zip(#[source] std::io::Error),
    #[error("Unexpected pipeline file format. Support .zip, .tar.gz, .json or YAML")]
    UnknownFormat,
}

/// A file as it arrived.
#[derive(Debug)]
pub(crate) struct Upload {
    name: String,
    bytes: Bytes,
}

impl Upload {
    /// Finds the part `uploadfile` in a form.
    ///
    /// # Errors
    /// The body is no form, or has no such part.
    pub(crate) async fn read(content_type: Option<&str>, body: Bytes) -> Result<Self, FileError> {
        let boundary = multer::parse_boundary(content_type.unwrap_or_default())?;
        let body = stream::once(async { Ok::<_, std::convert::Infallible>(body) });
        let mut form = multer::Multipart::new(body, boundary);
        while let Some(part) = form.next_field().await? {
            if part.name() == Some("uploadfile") {
                let name = part.file_name().unwrap_or_default().to_owned();
                let bytes = part.bytes().await?;
                return Ok(Self { name, bytes });
            }
        }
        Err(FileError::NoFile)
    }

    /// The specification's text, unpacked if need be.
    fn text(&self) -> Result<Vec<u8>, FileError> {
        if self.bytes.len() > MAX_FILE {
            return Err(FileError::TooLarge);
        }
        let suffix = |s: &str| self.name.to_lowercase().ends_with(s);
        if suffix(".yaml") || suffix(".yml") || suffix(".json") {
            return Ok(self.bytes.to_vec());
        }
        if self.bytes.starts_with(&[0x1f, 0x8b]) {
            return untar(&self.bytes).map_err(FileError::Tarball);
        }
        if self.bytes.starts_with(b"PK") {
            return unzip(&self.bytes).map_err(FileError::Zip);
        }
        Err(FileError::UnknownFormat)
    }
}

/// `pipeline.yaml` of a gzipped tar, else its first member.
fn untar(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut first = None;
    for entry in archive.entries()? {
        let entry = entry?;
        let is_pipeline = entry.path()?.as_os_str() == "pipeline.yaml";
        if !is_pipeline && first.is_some() {
            continue;
        }
        let mut text = Vec::new();
        entry.take(MAX_UNPACKED).read_to_end(&mut text)?;
        if is_pipeline {
            return Ok(text);
        }
        first = Some(text);
    }
    first.ok_or_else(|| std::io::Error::other("not a valid tarball: it is empty"))
}

/// `pipeline.yaml` of a zip archive, else its first member.
fn unzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(std::io::Error::other)?;
    let index = archive.index_for_name("pipeline.yaml").unwrap_or(0);
    let member = archive.by_index(index).map_err(|_| std::io::Error::other("not a valid zip: it is empty"))?;
    let mut text = Vec::new();
    member.take(MAX_UNPACKED).read_to_end(&mut text)?;
    Ok(text)
}

fn metadata(query: &Query, fallback: &str) -> Result<Metadata, UploadError> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let tags = text("tags");
    let tags: Tags = if tags.is_empty() {
        Tags::new()
    } else {
        let bad = |e: serde_json::Error| UploadError::new(400, "Failed to parse tags", e.to_string());
        serde_json::from_str(&tags).map_err(bad)?
    };
    let mut metadata = Metadata {
        name: text("name"),
        display_name: text("display_name"),
        description: text("description"),
        code_source_url: text("code_source_url"),
        namespace: text("namespace"),
        tags,
    };
    if metadata.name.is_empty() && metadata.display_name.is_empty() {
        fallback.clone_into(&mut metadata.name);
    }
    Ok(metadata)
}

fn refusal(message: &str, error: AddError) -> UploadError {
    let text = error.to_string();
    match error {
        AddError::NameTaken { .. } => UploadError::new(409, message, text),
        AddError::Metadata(_) => UploadError::new(400, text.clone(), text),
    }
}

fn spec(upload: &Upload, unreadable: &str) -> Result<Arc<Spec>, UploadError> {
    let text = upload.text().map_err(|cause| UploadError::new(400, unreadable, cause.to_string()))?;
    Spec::from_file(&text).map_err(|cause| UploadError::new(400, cause.to_string(), format!("{unreadable}: {cause}")))
}

impl Store {
    /// POST /pipelines/upload: a pipeline and its first version, which takes its name.
    pub(crate) fn upload_pipeline(
        &mut self,
        upload: Result<Upload, FileError>,
        query: &Query,
    ) -> Result<Vec<u8>, UploadError> {
        let upload =
            upload.map_err(|cause| UploadError::new(400, "Failed to read pipeline from file", cause.to_string()))?;
        let spec = spec(&upload, "Failed to read a pipeline spec file")?;
        let version = metadata(query, &upload.name)?;
        // Checked before anything is stored: the names of versions may not be as long as those of pipelines.
        let version = version.completed("pipeline version", 127).map_err(|error| refusal(PIPELINE, error.into()))?;
        let now = self.now();
        let pipeline = self.add_pipeline(now, metadata(query, &upload.name)?).map_err(|e| refusal(PIPELINE, e))?;
        self.add_version(now, pipeline.pipeline_id, version, spec).map_err(|e| refusal(PIPELINE, e))?;
        serde_json::to_vec(&pipeline).map_err(|e| UploadError::new(500, PIPELINE, e.to_string()))
    }

    /// POST /pipelines/upload_version
    pub(crate) fn upload_version(
        &mut self,
        upload: Result<Upload, FileError>,
        query: &Query,
    ) -> Result<Vec<u8>, UploadError> {
        let upload = upload.map_err(|cause| UploadError::new(400, VERSION, cause.to_string()))?;
        let spec = spec(&upload, VERSION)?;
        let id = query.get("pipelineid").unwrap_or_default();
        let pipeline =
            self.pipelines.get(parse_id(id)).map(|p| p.pipeline_id).ok_or_else(|| {
                UploadError::new(400, VERSION, format!("ResourceNotFoundError: Pipeline {id} not found"))
            })?;
        let metadata = metadata(query, &upload.name)?;
        let version = self.add_version(self.now(), pipeline, metadata, spec).map_err(|e| refusal(VERSION, e))?;
        serde_json::to_vec(&version).map_err(|e| UploadError::new(500, VERSION, e.to_string()))
    }
}
