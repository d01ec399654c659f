//! A compiled pipeline (IR): read before it is uploaded, so that what is wrong with it is known before any load.
//!
//! The server itself checks little when a pipeline is uploaded; most mistakes would only show as an internal error of
//! every single run.

mod check;
pub mod generate;
mod graph;
mod inputs;
mod patch;
mod quantity;

use kperf_plugin_sdk::Failure;
use serde_json::Value;

pub use graph::Graph;
pub use patch::Resources;

/// The largest file that the server takes, in bytes.
pub const LARGEST: usize = 32 << 20;

/// A pipeline's file.
#[derive(Debug)]
pub enum Content {
    /// A specification.
    Spec(Spec),
    /// A zip or gzip archive, which is not looked into.
    Archive,
}

/// A specification with its platform settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    ir: Value,
    platforms: Option<Value>,
}

/// Why a pipeline can't be used.
fn problem(message: impl Into<String>) -> Failure {
    Failure::new("pipeline", message)
}

impl Content {
    /// Reads a file.
    ///
    /// # Errors
    /// A failure of the kind `pipeline` that says what is wrong with the file and what to do: when it is neither an archive nor YAML (or JSON) of one specification.
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.is_empty() {
            return Err(problem("the file is empty: compile the pipeline into it"));
        }
        if bytes.len() > LARGEST {
            return Err(problem(format!("the file has {} bytes, the server takes at most {LARGEST}", bytes.len())));
        }
        if bytes.starts_with(b"PK") || bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(Self::Archive);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| problem("the file is neither text nor an archive"))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let place = error.location().map_or_else(String::new, |at| format!("line {}: ", at.line()));
            let cause = error.to_string();
            problem(format!("the file is no YAML: {place}{}", cause.lines().next().unwrap_or_default()))
        })?;
        let documents = documents.into_iter().filter(|document| !document.is_null());
        let (platforms, mut specs): (Vec<Value>, Vec<Value>) =
            documents.partition(|document| document.get("platforms").is_some());
        if specs.len() > 1 {
            return Err(problem("the file holds several specifications: keep one"));
        }
        let Some(ir) = specs.pop() else { return Err(problem("the file holds no specification")) };
        if ir.get("apiVersion").and_then(Value::as_str).is_some_and(|version| version.contains("argoproj.io/")) {
            return Err(problem("this is an Argo workflow (KFP v1): compile the pipeline with KFP 2"));
        }
        Ok(Self::Spec(Spec { ir, platforms: platforms.into_iter().next() }))
    }
}

impl Spec {
    /// A specification without platform settings.
    pub fn new(ir: Value) -> Self {
        Self { ir, platforms: None }
    }

    /// The pipeline's name.
    pub fn name(&self) -> &str {
        self.ir.pointer("/pipelineInfo/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The file to upload. It is JSON, which is YAML, too; so nothing is lost in quoting.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.ir.to_string();
        if let Some(platforms) = &self.platforms {
            text.push_str("\n---\n");
            text.push_str(&platforms.to_string());
        }
        text.push('\n');
        text.into_bytes()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three steps, the last two of which wait for the first; the last one is nested.
    pub const SMALL: &str = r"
pipelineInfo: {name: small}
schemaVersion: 2.1.0
root:
  inputDefinitions:
    parameters:
      items: {parameterType: NUMBER_INTEGER, defaultValue: 10}
      label: {parameterType: STRING}
  dag:
    tasks:
      prepare:
        taskInfo: {name: prepare}
        componentRef: {name: comp-step}
        cachingOptions: {enableCache: true}
      work:
        taskInfo: {name: work}
        componentRef: {name: comp-step}
        dependentTasks: [prepare]
      nested:
        taskInfo: {name: nested}
        componentRef: {name: comp-nested}
        inputs: {parameters: {x: {taskOutputParameter: {producerTask: prepare, outputParameterKey: o}}}}
components:
  comp-step: {executorLabel: exec-step}
  comp-nested:
    dag:
      tasks:
        inner: {taskInfo: {name: inner}, componentRef: {name: comp-step}}
deploymentSpec:
  executors:
    exec-step: {container: {image: busybox, command: [sleep], args: ['5']}}
";

    pub fn spec(text: &str) -> Spec {
        match Content::read(text.as_bytes()) {
            Ok(Content::Spec(spec)) => spec,
            other => panic!("{other:?}"),
        }
    }

    fn refused(bytes: &[u8]) -> String {
        Content::read(bytes).unwrap_err().message
    }

    #[test]
    fn reads_compiled_pipelines() {
        assert_eq!(spec(SMALL).name(), "small");
        assert_eq!(spec(&format!("{SMALL}---\nplatforms: {{kubernetes: {{}}}}\n")).name(), "small");
        assert_eq!(spec(r#"{"pipelineInfo":{"name":"a"},"schemaVersion":"2.1.0","root":{}}"#).name(), "a");
        assert!(matches!(Content::read(b"PK\x03\x04"), Ok(Content::Archive)));
    }

    #[test]
    fn says_what_is_wrong_with_other_files() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"\xff\xfe").contains("neither"));
        assert!(refused(b"apiVersion: argoproj.io/v1alpha1\n").contains("Argo"));
        assert!(refused(b"a: 1\nb: [\n").contains("line "));
        assert!(refused(format!("{SMALL}---{SMALL}").as_bytes()).contains("several"));
        assert!(refused(b"# nothing\n").contains("no specification"));
    }

    #[test]
    fn what_is_uploaded_reads_the_same() {
        let original = spec(&format!("{SMALL}---\nplatforms: {{kubernetes: {{}}}}\n"));
        assert_eq!(spec(std::str::from_utf8(&original.to_bytes()).unwrap()), original);
    }
}
