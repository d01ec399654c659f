//! Requests and answers as JSON.

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::kfp::error::ApiError;

/// What a handler answers: the JSON body of a success.
pub(crate) type ApiResult = Result<Vec<u8>, ApiError>;

/// The id in a path or body; what is no id can't exist, so it is not found.
pub(crate) fn parse_id(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or(Uuid::nil())
}

/// Reads a request's body strictly.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::body(&e))
}

/// Writes an answer.
pub(crate) fn write(value: &impl Serialize) -> ApiResult {
    serde_json::to_vec(value).map_err(|e| ApiError::internal("Failed to write the answer", &e.to_string()))
}

/// Writes a text that rows share.
pub(crate) fn shared_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The answer of what only acts.
pub(crate) fn nothing() -> ApiResult {
    Ok(b"{}".to_vec())
}

/// A page under the field name of its resource; empty things are left out.
pub(crate) struct PageBody<T> {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<T>,
    pub(crate) total: usize,
    pub(crate) next: Option<String>,
}

impl<T: Serialize> Serialize for PageBody<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.rows.is_empty() {
            map.serialize_entry(self.name, &self.rows)?;
        }
        if self.total > 0 {
            map.serialize_entry("total_size", &self.total)?;
        }
        if let Some(next) = &self.next {
            map.serialize_entry("next_page_token", next)?;
        }
        map.end()
    }
}
