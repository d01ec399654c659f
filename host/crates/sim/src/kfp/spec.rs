//! Pipeline specifications: reading, checking and giving back the intermediate representation (IR).

use std::sync::{Arc, OnceLock};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::cluster::template::{TemplateError, WorkflowTemplate};

/// Keys that a specification may have at its top.
const KEYS: [&str; 7] =
    ["pipelineInfo", "deploymentSpec", "schemaVersion", "sdkVersion", "components", "root", "defaultPipelineRoot"];
const SCHEMA_VERSION: &str = "2.1.0";

/// A specification, or parameters for it, that the server refuses; the text is the server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not a pipeline specification at all.
    #[error("unknown template format")]
    UnknownFormat,
    /// The file is no YAML; line from 1.
    #[error("failed to parse pipeline spec YAML: yaml: line {line}: {cause}")]
    Yaml {
        /// The line, from 1.
        line: u64,
        /// The parser's first line about it.
        cause: String,
    },
    /// More than one specification in a file.
    #[error("multiple pipeline specs provided")]
    Several,
    /// Not the schema version that the server knows.
    #[error("KFP only supports schema version {SCHEMA_VERSION}, but the pipeline spec has version {0}")]
    SchemaVersion(String),
    /// A pipeline's name with other letters than Kubernetes allows.
    #[error(
        "pipeline's name must contain only lowercase alphanumeric characters or '-' and must start with alphanumeric characters"
    )]
    Name,
    /// A pipeline's name of more than 128 letters.
    #[error("pipeline's name must contain no more than 128 characters")]
    LongName,
    /// A parameter without a value.
    #[error("parameter {0} is not optional, yet has neither default value nor user provided value")]
    MissingParameter(String),
    /// A declared parameter without a type.
    #[error("input parameter {0} has unspecified type")]
    UntypedParameter(String),
    /// A value of another type than the parameter declares.
    #[error("input parameter {name} requires type {declared_type}, but the {noun} is not of {kind} value type")]
    ParameterType {
        /// The parameter's name.
        name: String,
        /// The declared type, in the server's words.
        declared_type: &'static str,
        /// The server's word for the value.
        noun: &'static str,
        /// The kind of value that would do.
        kind: &'static str,
    },
    /// Values for parameters that are not declared.
    #[error("parameter(s) provided are not required by pipeline: {0}")]
    UnknownParameters(String),
    /// The specification can't be made into a workflow.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The specification can't be written as JSON.
    #[error("{0}")]
    Json(String),
}

/// A specification that the server accepted.
#[derive(Debug)]
pub(crate) struct Spec {
    ir: Value,
    /// As the API gives it back; rendered once, because lists repeat it.
    pub(crate) rendered: Box<RawValue>,
    /// The template where it is the same for all parameters.
    fixed: OnceLock<Arc<WorkflowTemplate>>,
    depends_on_parameters: bool,
}

impl Spec {
    /// Reads a YAML or JSON file of one specification and at most one document of platform settings.
    ///
    /// # Errors
    /// The specification or the parameters are refused.
    pub(crate) fn from_file(bytes: &[u8]) -> Result<Arc<Self>, SpecError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SpecError::UnknownFormat)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let line = error.location().map_or(1, |at| at.line());
            let cause = error.to_string();
            SpecError::Yaml { line, cause: cause.lines().next().unwrap_or_default().to_owned() }
        })?;
        let documents = documents.into_iter().filter(|d| !d.is_null());
        let (platforms, specs): (Vec<Value>, Vec<Value>) = documents.partition(|d| d.get("platforms").is_some());
        let mut specs = specs.into_iter();
        let ir = specs.next().ok_or(SpecError::UnknownFormat)?;
        if specs.next().is_some() {
            return Err(SpecError::Several);
        }
        Self::new(ir, platforms.into_iter().next())
    }

    /// Takes a specification written as JSON in a request, alone or together with platform settings.
    ///
    /// # Errors
    /// The specification or the parameters are refused.
    pub(crate) fn from_json(value: Value) -> Result<Arc<Self>, SpecError> {
        match value.get("pipeline_spec").or_else(|| value.get("pipelineSpec")) {
            Some(ir) => Self::new(ir.clone(), value.get("platform_spec").cloned()),
            None => Self::new(value, None),
        }
    }

    fn new(ir: Value, platform: Option<Value>) -> Result<Arc<Self>, SpecError> {
        check(&ir)?;
        let shown = match &platform {
            None => ir.to_string(),
            Some(platform) => json!({"pipeline_spec": ir, "platform_spec": platform}).to_string(),
        };
        let depends_on_parameters = shown.contains("{{$.inputs.parameters") || shown.contains("parameterIterator");
        let rendered = RawValue::from_string(shown).map_err(|error| SpecError::Json(error.to_string()))?;
        Ok(Arc::new(Self { ir, rendered, fixed: OnceLock::new(), depends_on_parameters }))
    }

    /// The pipeline's own name.
    pub(crate) fn name(&self) -> &str {
        self.ir.pointer("/pipelineInfo/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The workflow for these parameters.
    ///
    /// # Errors
    /// The specification can't be made into a workflow.
    pub(crate) fn template(&self, parameters: &Map<String, Value>) -> Result<Arc<WorkflowTemplate>, SpecError> {
        if self.depends_on_parameters {
            return Ok(Arc::new(WorkflowTemplate::new(&self.ir, parameters)?));
        }
        if let Some(fixed) = self.fixed.get() {
            return Ok(Arc::clone(fixed));
        }
        let template = Arc::new(WorkflowTemplate::new(&self.ir, parameters)?);
        Ok(Arc::clone(self.fixed.get_or_init(|| template)))
    }

    /// Checks a run's parameters against the declared inputs.
    ///
    /// # Errors
    /// The specification or the parameters are refused.
    pub(crate) fn check_parameters(&self, given: &Map<String, Value>) -> Result<(), SpecError> {
        let none = Map::new();
        let declared = self.ir.pointer("/root/inputDefinitions/parameters").and_then(Value::as_object).unwrap_or(&none);
        for (name, definition) in declared {
            let Some(value) = given.get(name) else {
                let optional = definition.get("isOptional") == Some(&Value::Bool(true));
                if optional || definition.get("defaultValue").is_some() {
                    continue;
                }
                return Err(SpecError::MissingParameter(name.clone()));
            };
            let (declared_type, kind, fits) = match definition.get("parameterType").and_then(Value::as_str) {
                Some("NUMBER_DOUBLE" | "NUMBER_INTEGER") => ("double or integer", "number", value.is_number()),
                Some("STRING") => ("string", "string", value.is_string()),
                Some("BOOLEAN") => ("bool", "bool", value.is_boolean()),
                Some("LIST") => ("list", "list", value.is_array()),
                Some("STRUCT") => ("struct", "struct", value.is_object()),
                Some(_) => continue,
                None => return Err(SpecError::UntypedParameter(name.clone())),
            };
            if !fits {
                let noun = if kind == "number" { "parameter value" } else { "input parameter" };
                return Err(SpecError::ParameterType { name: name.clone(), declared_type, noun, kind });
            }
        }
        let extra: Vec<&str> = given.keys().map(String::as_str).filter(|name| !declared.contains_key(*name)).collect();
        if extra.is_empty() {
            return Ok(());
        }
        Err(SpecError::UnknownParameters(extra.join(", ")))
    }
}

fn check(ir: &Value) -> Result<(), SpecError> {
    let unknown = || SpecError::UnknownFormat;
    let object = ir.as_object().ok_or_else(unknown)?;
    let name =
        ir.pointer("/pipelineInfo/name").and_then(Value::as_str).filter(|n| !n.is_empty()).ok_or_else(unknown)?;
    if !object.contains_key("root") || object.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown());
    }
    let version = object.get("schemaVersion").and_then(Value::as_str).unwrap_or_default();
    if version != SCHEMA_VERSION {
        return Err(SpecError::SchemaVersion(version.to_owned()));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.starts_with(plain) || !name.chars().all(|c| plain(c) || c == '-') {
        return Err(SpecError::Name);
    }
    if name.len() > 128 {
        return Err(SpecError::LongName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
# made by hand
pipelineInfo: {name: small}
schemaVersion: 2.1.0
root:
  inputDefinitions:
    parameters:
      items: {parameterType: NUMBER_INTEGER, defaultValue: 10}
      label: {parameterType: STRING}
  dag: {tasks: {}}
";

    fn refused(text: &str) -> String {
        Spec::from_file(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn texts_of_refusal() {
        for unknown in ["", "# nothing", "[1]", "root: {}", "pipelineInfo: {name: a}", &format!("{SMALL}\nextra: 1")] {
            assert_eq!(refused(unknown), "unknown template format", "{unknown}");
        }
        assert!(refused("a: [").starts_with("failed to parse pipeline spec YAML: yaml: line "));
        assert_eq!(
            refused(&SMALL.replace("2.1.0", "2.0.0")),
            "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0"
        );
        assert!(refused(&SMALL.replace("name: small", "name: Small")).contains("only lowercase"));
        assert!(refused(&SMALL.replace("small", &"s".repeat(129))).contains("no more than 128 characters"));
        assert_eq!(refused(&format!("{SMALL}---{SMALL}")), "multiple pipeline specs provided");
    }

    #[test]
    fn platform_settings_are_given_back_beside_the_spec() {
        let spec = Spec::from_file(format!("{SMALL}---\nplatforms: {{kubernetes: {{}}}}").as_bytes()).unwrap();
        let shown: Value = serde_json::from_str(spec.rendered.get()).unwrap();
        assert_eq!(shown["pipeline_spec"]["pipelineInfo"]["name"], "small");
        assert!(shown["platform_spec"]["platforms"]["kubernetes"].is_object());
    }

    #[test]
    fn parameters_are_typed() {
        let spec = Spec::from_file(SMALL.as_bytes()).unwrap();
        let check = |json: Value| spec.check_parameters(json.as_object().unwrap());
        assert_eq!(check(json!({"label": "a"})), Ok(()));
        assert_eq!(
            check(json!({})).unwrap_err().to_string(),
            "parameter label is not optional, yet has neither default value nor user provided value"
        );
        assert!(
            check(json!({"label": "a", "items": "3"}))
                .unwrap_err()
                .to_string()
                .starts_with("input parameter items requires type ")
        );
        assert_eq!(
            check(json!({"label": "a", "more": 1})).unwrap_err().to_string(),
            "parameter(s) provided are not required by pipeline: more"
        );
    }
}
