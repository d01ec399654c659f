//! A plugin's parameters against the plugin's own JSON Schema: defaults filled in, mistakes at their place in the suite,
//! files found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use kperf_metrics::{MetricDef, MetricKind, Unit};
use kperf_suite::{Diagnostic, Params, Span};
use serde_json::{Map, Value};

/// Parameters that match their schema.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedParams {
    /// The parameters with the schema's defaults, as JSON text.
    pub json: String,
    /// The files that they name: by what is written, where they are.
    pub files: BTreeMap<String, PathBuf>,
    /// The names of the credentials that they ask for.
    pub credentials: BTreeSet<String>,
    /// The metrics that they declare.
    pub metrics: Vec<MetricDef>,
}

/// Metrics that are known already, by name.
pub(crate) type KnownMetrics = BTreeMap<Arc<str>, MetricDef>;

/// What parameters are checked against beside their schema.
pub(crate) struct ParamsContext<'a> {
    /// The folder that paths are relative to.
    pub folder: &'a Path,
    /// The names of the suite's credentials, if they are known.
    pub credentials: Option<&'a [String]>,
    /// Metrics that those of the parameters must agree with where they have the same name.
    pub metrics: &'a KnownMetrics,
}

/// Why a parameter can't declare a metric.
#[derive(Debug, thiserror::Error)]
enum MetricError {
    #[error("`{0}` is no metric name: lower-case letters, digits and `_`, at most 64, no digit first")]
    Name(String),
    #[error("there is no kind of metric `{0}`")]
    Kind(String),
    #[error("there is no unit `{0}`")]
    Unit(String),
    #[error(
        "`{}` is already a {} in unit `{}`, it can't be a {} in unit `{}` too; give it another name",
        .new.name, .known.kind, .known.unit, .new.kind, .new.unit
    )]
    Taken { known: MetricDef, new: MetricDef },
}

/// Checks `params` against `schema`.
///
/// # Errors
/// Every mistake, each with its place; `fallback` stands for what has no place of its own.
pub(crate) fn check(
    params: &Params,
    schema: &Value,
    context: &ParamsContext<'_>,
    fallback: Span,
) -> Result<CheckedParams, Vec<Diagnostic>> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the plugin's schema of its parameters is wrong: {error}");
            return Err(vec![Diagnostic::new(fallback, message).help("tell the plugin's author")]);
        }
    };
    let places = Places { params, fallback };
    let mut value = Value::Object(params.json().clone());
    fill(&mut value, schema);
    read_variables(&mut value, params, &validator);
    let mut diagnostics: Vec<Diagnostic> =
        validator.iter_errors(&value).flat_map(|error| of_schema(&error, schema, &places)).collect();
    let mut files = BTreeMap::new();
    collect("path", &value, schema, String::new(), &mut |pointer, path| {
        let found = context.folder.join(path);
        if found.is_file() {
            files.insert(path.to_owned(), found);
        } else {
            let message = format!("there is no file `{path}`");
            diagnostics.push(Diagnostic::new(places.value(pointer), message).help("paths are relative to the suite"));
        }
    });
    let mut credentials = BTreeSet::new();
    collect("credential", &value, schema, String::new(), &mut |pointer, name| {
        credentials.insert(name.to_owned());
        if context.credentials.is_some_and(|known| !known.iter().any(|it| it == name)) {
            // It may be the secret itself, which must not be repeated.
            diagnostics.push(Diagnostic::new(places.value(pointer), "this is no name of a credential").help(
                "put the secret into an environment variable, add `[credentials.NAME]` with `env = \"..\"`, and write that name",
            ));
        }
    });
    let mut metrics = Vec::new();
    collect_metrics(&value, schema, String::new(), &mut |pointer, name, declared| match metric(
        name,
        declared,
        context.metrics,
    ) {
        Ok(metric) => metrics.push(metric),
        Err(error) => diagnostics.push(Diagnostic::new(places.key(pointer), error.to_string())),
    });
    if diagnostics.is_empty() {
        Ok(CheckedParams { json: value.to_string(), files, credentials, metrics })
    } else {
        Err(diagnostics)
    }
}

/// Where values and keys stand in the suite, by JSON pointer (RFC 6901).
struct Places<'a> {
    params: &'a Params,
    fallback: Span,
}

impl Places<'_> {
    /// What is missing has no place; the table that should hold it does.
    fn value(&self, mut pointer: &str) -> Span {
        loop {
            match (self.params.locate(pointer), pointer.rfind('/')) {
                (Some(span), _) => return span,
                (None, Some(end)) => pointer = pointer.get(..end).unwrap_or_default(),
                (None, None) => return self.fallback,
            }
        }
    }

    fn key(&self, pointer: &str) -> Span {
        self.params.locate_key(pointer).unwrap_or_else(|| self.value(pointer))
    }
}

/// What a schema says is wrong; each key that should not be there is a mistake of its own.
fn of_schema(error: &ValidationError<'_>, schema: &Value, places: &Places<'_>) -> Vec<Diagnostic> {
    let pointer = error.instance_path().to_string();
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return vec![Diagnostic::new(places.value(&pointer), error.to_string())];
    };
    let known = properties_at(schema, &error.schema_path().to_string());
    let diagnostic = |key: &String| {
        let span = places.key(&format!("{pointer}/{}", escape(key)));
        Diagnostic::new(span, format!("the plugin has no parameter `{key}` here"))
            .help(kperf_suite::suggestion(key, known.iter().map(String::as_str)))
    };
    unexpected.iter().map(diagnostic).collect()
}

/// A metric that a parameter declares.
fn metric(name: &str, declared: &Value, known: &KnownMetrics) -> Result<MetricDef, MetricError> {
    if !kperf_plugin::is_metric_name(name) {
        return Err(MetricError::Name(name.to_owned()));
    }
    let text = |key: &str| declared.get(key).and_then(Value::as_str);
    let kind = match text("kind") {
        None | Some("gauge") => MetricKind::Gauge,
        Some("counter") => MetricKind::Counter,
        Some("rate") => MetricKind::Rate,
        Some("distribution") => MetricKind::Distribution,
        Some(other) => return Err(MetricError::Kind(other.to_owned())),
    };
    let unit = match text("unit") {
        None | Some("none") => Unit::None,
        Some("seconds") => Unit::Seconds,
        Some("bytes") => Unit::Bytes,
        Some("ratio") => Unit::Ratio,
        Some(other) => return Err(MetricError::Unit(other.to_owned())),
    };
    let new = MetricDef::new(name, kind, unit, text("description").unwrap_or_default());
    match known.get(name) {
        Some(known) if (known.kind, known.unit) != (kind, unit) => {
            Err(MetricError::Taken { known: known.clone(), new })
        }
        _ => Ok(new),
    }
}

/// Calls `found` with the place, the name and the value of each entry of an object whose schema says
/// `"format": "metrics"`.
fn collect_metrics(value: &Value, schema: &Value, pointer: String, found: &mut impl FnMut(&str, &str, &Value)) {
    let Value::Object(object) = value else { return };
    if schema.get("format").and_then(Value::as_str) == Some("metrics") {
        for (name, declared) in object {
            found(&format!("{pointer}/{}", escape(name)), name, declared);
        }
        return;
    }
    for (name, property) in properties(schema) {
        if let Some(inner) = object.get(name) {
            collect_metrics(inner, property, format!("{pointer}/{}", escape(name)), found);
        }
    }
}

/// Fills in defaults, also inside of objects and lists that are there.
fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(object) => {
            for (name, property) in properties(schema) {
                if let (false, Some(default)) = (object.contains_key(name), property.get("default")) {
                    object.insert(name.clone(), default.clone());
                }
                if let Some(inner) = object.get_mut(name) {
                    fill(inner, property);
                }
            }
            if let Some(other @ Value::Object(_)) = schema.get("additionalProperties") {
                let known: Vec<&String> = properties(schema).map(|(name, _)| name).collect();
                let others = object.iter_mut().filter(|(name, _)| !known.contains(name));
                others.for_each(|(_, inner)| fill(inner, other));
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(item, schema));
            }
        }
        _ => {}
    }
}

/// A value that came from a variable is a text; where the schema wants a number or a boolean it is read as one.
fn read_variables(value: &mut Value, params: &Params, validator: &jsonschema::Validator) {
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .filter(|error| matches!(error.kind(), ValidationErrorKind::Type { .. }))
        .map(|error| error.instance_path().to_string())
        .filter(|pointer| params.is_variable(pointer))
        .collect();
    for pointer in wrong {
        if let Some(slot) = value.pointer_mut(&pointer)
            && let Some(Ok(read)) = slot.as_str().map(serde_json::from_str::<Value>)
        {
            *slot = read;
        }
    }
}

/// Calls `found` with the place and the text of each string whose schema has this `format`.
fn collect(format: &str, value: &Value, schema: &Value, pointer: String, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) if schema.get("format").and_then(Value::as_str) == Some(format) => found(&pointer, text),
        Value::Object(object) => {
            for (name, property) in properties(schema) {
                if let Some(inner) = object.get(name) {
                    collect(format, inner, property, format!("{pointer}/{}", escape(name)), found);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    collect(format, item, schema, format!("{pointer}/{index}"), found);
                }
            }
        }
        _ => {}
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// The names that an object may have, given the schema's path to the `additionalProperties` that it broke.
fn properties_at(schema: &Value, path: &str) -> Vec<String> {
    let object = path.strip_suffix("/additionalProperties").and_then(|path| schema.pointer(path));
    object.into_iter().flat_map(properties).map(|(name, _)| name.clone()).collect()
}

/// A key as a part of a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kperf_suite::{LoadOptions, Source};
    use serde_json::json;

    fn scenario(params: &str) -> kperf_suite::Suite {
        let text = format!(
            "name = \"s\"\n[[scenario]]\nname = \"a\"\nplugin = \"p\"\n[scenario.load]\nexecutor = \"per-vu-iterations\"\n\
             [scenario.params]\n{params}\n"
        );
        let lookup = |_: &str| Some("7".to_owned());
        kperf_suite::load(
            Source { name: "suite.toml", text: &text },
            &LoadOptions { environment: None, sets: &[], lookup: &lookup },
        )
        .unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(false)))
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "count": { "type": "integer", "default": 3 },
                "file": { "type": "string", "format": "path" },
                "key": { "type": "string", "format": "credential" },
                "metrics": { "type": "object", "format": "metrics", "additionalProperties": {
                    "type": "object",
                    "properties": { "unit": { "enum": ["none", "seconds"], "default": "none" }, "kind": { "type": "string" } }
                } },
                "steps": { "type": "array", "items": {
                    "type": "object", "additionalProperties": false, "required": ["name"],
                    "properties": { "name": { "type": "string" }, "weight": { "type": "number", "default": 1 } }
                } }
            }
        })
    }

    fn checked(params: &str) -> Result<CheckedParams, Vec<String>> {
        let suite = scenario(params);
        let plugin = &suite.scenarios[0].plugin;
        let credentials = ["pager".to_owned()];
        let metrics = [MetricDef::new("taken", MetricKind::Counter, Unit::None, "")];
        let metrics = metrics.map(|def| (Arc::clone(&def.name), def)).into();
        let context = ParamsContext {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")),
            credentials: Some(&credentials),
            metrics: &metrics,
        };
        check(&plugin.params, &schema(), &context, plugin.span).map_err(|diagnostics| {
            diagnostics.iter().map(|it| format!("{}: {}", suite.sources.slice(it.span), it.message)).collect()
        })
    }

    #[test]
    fn defaults_are_filled_in_at_every_depth() {
        let json: Value = serde_json::from_str(&checked("steps = [{ name = \"x\" }]").unwrap().json).unwrap();
        assert_eq!(json, json!({ "count": 3, "steps": [{ "name": "x", "weight": 1 }] }));
    }

    #[test]
    fn a_variable_is_read_as_what_the_schema_wants() {
        let json: Value = serde_json::from_str(&checked("count = \"${ANY}\"").unwrap().json).unwrap();
        assert_eq!(json, json!({ "count": 7 }));
        assert!(checked("count = \"7\"").is_err(), "a text that is none");
    }

    #[test]
    fn every_mistake_has_its_place() {
        let diagnostics =
            checked("cuont = 1\ncount = \"many\"\nsteps = [{ weight = 2 }]\nfile = \"no/such\"").unwrap_err();
        assert_eq!(diagnostics.len(), 4, "{diagnostics:#?}");
        for start in ["cuont: ", "\"many\": ", "{ weight = 2 }: ", "\"no/such\": "] {
            assert!(diagnostics.iter().any(|it| it.starts_with(start)), "{start} in {diagnostics:#?}");
        }
    }

    #[test]
    fn credentials_are_named_and_never_written() {
        let credentials = checked("key = \"pager\"").unwrap().credentials;
        assert_eq!(credentials.iter().collect::<Vec<_>>(), ["pager"]);
        let diagnostics = checked("key = \"0123456789abcdef0123456789abcdef\"").unwrap_err();
        assert_eq!(diagnostics, ["\"0123456789abcdef0123456789abcdef\": this is no name of a credential"]);
    }

    #[test]
    fn files_are_found_beside_the_suite() {
        let files = checked("file = \"Cargo.toml\"").unwrap().files;
        assert_eq!(files.keys().collect::<Vec<_>>(), ["Cargo.toml"]);
    }

    #[test]
    fn parameters_can_declare_metrics() {
        let checked =
            checked("metrics.depth = { unit = \"seconds\" }\nmetrics.taken = { kind = \"counter\" }").unwrap();
        let json: Value = serde_json::from_str(&checked.json).unwrap();
        assert_eq!(json["metrics"]["taken"]["unit"], "none", "defaults are filled in there, too");
        let shown: Vec<_> = checked.metrics.iter().map(|it| (&*it.name, it.kind, it.unit)).collect();
        let wanted = [("depth", MetricKind::Gauge, Unit::Seconds), ("taken", MetricKind::Counter, Unit::None)];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_metric_that_can_not_be_one_is_named_at_its_key() {
        let diagnostics = checked("metrics.Depth = {}\nmetrics.taken = { unit = \"seconds\" }").unwrap_err();
        assert_eq!(diagnostics.len(), 2, "{diagnostics:#?}");
        assert!(diagnostics[0].starts_with("Depth: `Depth` is no metric name"), "{diagnostics:#?}");
        assert!(diagnostics[1].starts_with("taken: `taken` is already a counter"), "{diagnostics:#?}");
    }
}
