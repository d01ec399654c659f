//! Files: those that the suite grants, and those that the plugin leaves in the run's folder.

use serde::Deserialize;

use crate::{Failure, bindings::kperf::plugin::artifacts};

/// Reads a file that a parameter with `"format": "path"` names.
///
/// # Errors
/// A failure of the kind `artifact` that says why it could not be read.
pub async fn read(path: &str) -> Result<Vec<u8>, Failure> {
    artifacts::read(path.into()).await.map_err(|message| Failure::new("artifact", message))
}

/// Writes a file into the plugin's part of the run's folder, in place of one with the same name. The name is relative and has
/// no `..`.
///
/// # Errors
/// A failure of the kind `artifact` that says why it could not be written.
pub async fn write(name: &str, content: impl Into<Vec<u8>>) -> Result<(), Failure> {
    artifacts::write(name.into(), content.into()).await.map_err(|message| Failure::new("artifact", message))
}

/// The parameters of a mode that writes one file: its name, which the suite may change.
///
/// ```ignore
/// description.mode("file", OneFile::MODE, &OneFile::parameters("result.txt"))
/// let file: OneFile = reporting.params()?;
/// file.write("all is well").await
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneFile {
    file: String,
}

impl OneFile {
    /// The mode's description.
    pub const MODE: &str = "One file in the run's folder";

    /// The JSON Schema of the parameters, with the name that the file has unless the suite gives it another one.
    #[must_use]
    pub fn parameters(default: &str) -> String {
        PARAMETERS.replace("DEFAULT", default)
    }

    /// Writes the file into the run's folder.
    ///
    /// # Errors
    /// A failure of the kind `artifact` that says why it could not be written.
    pub async fn write(&self, content: impl Into<Vec<u8>>) -> Result<(), Failure> {
        write(&self.file, content).await
    }
}

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "file": {
      "description": "The name of the file in the run's folder.",
      "type": "string",
      "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]*$",
      "default": "DEFAULT"
    }
  }
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_default_is_the_files_name() {
        let defaults = crate::schema::defaults(&OneFile::parameters("a.csv"));
        let file: OneFile = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!(file, OneFile { file: "a.csv".into() });
    }
}
