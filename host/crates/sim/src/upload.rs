//! The two upload routes: a file in a multipart form becomes a pipeline or a version.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use crate::error::UploadError;
use crate::pipelines::{Label, NotStored, Tags};
use crate::query::Query;
use crate::spec::Spec;
use crate::store::{Store, parse_id};

/// Largest file taken, in bytes, before unpacking.
const MAX_FILE: usize = 32 << 20;
/// Of an archive's member no more is read, in bytes: a small archive must not fill the memory.
const MAX_UNPACKED: u64 = 256 << 20;
const PIPELINE: &str = "Failed to create a pipeline and a pipeline version";
const VERSION: &str = "Failed to create a pipeline version";

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
    /// Why there is none.
    pub(crate) async fn read(content_type: Option<&str>, body: Bytes) -> Result<Self, String> {
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|e| e.to_string())?;
        let body = stream::once(async { Ok::<_, std::convert::Infallible>(body) });
        let mut form = multer::Multipart::new(body, boundary);
        while let Some(part) = form.next_field().await.map_err(|e| e.to_string())? {
            if part.name() == Some("uploadfile") {
                let name = part.file_name().unwrap_or_default().to_owned();
                let bytes = part.bytes().await.map_err(|e| e.to_string())?;
                return Ok(Self { name, bytes });
            }
        }
        Err("http: no such file".to_owned())
    }

    /// The specification's text, unpacked if need be.
    fn text(&self) -> Result<Vec<u8>, String> {
        if self.bytes.len() > MAX_FILE {
            return Err(format!("File size too large. Maximum supported size: {MAX_FILE}"));
        }
        let suffix = |s: &str| self.name.to_lowercase().ends_with(s);
        if suffix(".yaml") || suffix(".yml") || suffix(".json") {
            return Ok(self.bytes.to_vec());
        }
        if self.bytes.starts_with(&[0x1f, 0x8b]) {
            return untar(&self.bytes).map_err(|e| format!("Error extracting pipeline from the tarball file: {e}"));
        }
        if self.bytes.starts_with(b"PK") {
            return unzip(&self.bytes).map_err(|e| format!("Error extracting pipeline from the zip file: {e}"));
        }
        Err("Unexpected pipeline file format. Support .zip, .tar.gz, .json or YAML".to_owned())
    }
}

/// `pipeline.yaml` of a gzipped tar, else its first member.
fn untar(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut first = None;
    for entry in archive.entries()? {
        let entry = entry?;
        let wanted = entry.path()?.as_os_str() == "pipeline.yaml";
        if !wanted && first.is_some() {
            continue;
        }
        let mut text = Vec::new();
        entry.take(MAX_UNPACKED).read_to_end(&mut text)?;
        if wanted {
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

fn label(query: &Query, fallback: &str) -> Result<Label, UploadError> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let tags = text("tags");
    let tags: Tags = if tags.is_empty() {
        Tags::new()
    } else {
        let bad = |e: serde_json::Error| UploadError::new(400, "Failed to parse tags", e.to_string());
        serde_json::from_str(&tags).map_err(bad)?
    };
    let mut label = Label {
        name: text("name"),
        display_name: text("display_name"),
        description: text("description"),
        code_source_url: text("code_source_url"),
        namespace: text("namespace"),
        tags,
    };
    if label.name.is_empty() && label.display_name.is_empty() {
        fallback.clone_into(&mut label.name);
    }
    Ok(label)
}

fn refusal(message: &str, reason: NotStored) -> UploadError {
    match reason {
        NotStored::Taken(text) => UploadError::new(409, message, text),
        NotStored::Invalid(text) => UploadError::new(400, text.clone(), text),
    }
}

fn spec(upload: &Upload, unreadable: &str) -> Result<Arc<Spec>, UploadError> {
    let text = upload.text().map_err(|cause| UploadError::new(400, unreadable, cause))?;
    Spec::from_file(&text).map_err(|text| UploadError::new(400, text.clone(), format!("{unreadable}: {text}")))
}

impl Store {
    /// POST /pipelines/upload: a pipeline and its first version, which takes its name.
    pub(crate) fn upload_pipeline(
        &mut self,
        upload: Result<Upload, String>,
        query: &Query,
    ) -> Result<Vec<u8>, UploadError> {
        let upload = upload.map_err(|cause| UploadError::new(400, "Failed to read pipeline from file", cause))?;
        let spec = spec(&upload, "Failed to read a pipeline spec file")?;
        let version = label(query, &upload.name)?;
        // Checked before anything is stored: versions may not be called as many letters as pipelines.
        let version =
            version.completed("pipeline version", 127).map_err(|text| UploadError::new(400, text.clone(), text))?;
        let pipeline = self.add_pipeline(label(query, &upload.name)?).map_err(|r| refusal(PIPELINE, r))?;
        self.add_version(pipeline.pipeline_id, version, spec).map_err(|r| refusal(PIPELINE, r))?;
        serde_json::to_vec(&pipeline).map_err(|e| UploadError::new(500, PIPELINE, e.to_string()))
    }

    /// POST /pipelines/upload_version
    pub(crate) fn upload_version(
        &mut self,
        upload: Result<Upload, String>,
        query: &Query,
    ) -> Result<Vec<u8>, UploadError> {
        let upload = upload.map_err(|cause| UploadError::new(400, VERSION, cause))?;
        let spec = spec(&upload, VERSION)?;
        let id = query.get("pipelineid").unwrap_or_default();
        let pipeline =
            self.pipelines.get(parse_id(id)).map(|p| p.pipeline_id).ok_or_else(|| {
                UploadError::new(400, VERSION, format!("ResourceNotFoundError: Pipeline {id} not found"))
            })?;
        let label = label(query, &upload.name)?;
        let version = self.add_version(pipeline, label, spec).map_err(|r| refusal(VERSION, r))?;
        serde_json::to_vec(version).map_err(|e| UploadError::new(500, VERSION, e.to_string()))
    }
}
