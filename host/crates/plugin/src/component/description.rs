//! What a plugin says of itself, checked.

use std::borrow::Cow;
use std::sync::Arc;

use kperf_metrics::{MetricDef, MetricKind, printable};
use rustc_hash::FxHashSet;
use serde_json::Value;

use crate::bindings::types;
use crate::component::description_error::DescriptionError;
use crate::component::unit::unit;
use crate::recording::series::is_key;
use crate::recording::table::{self, Table, cut};

/// What a plugin is and offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// The plugin's name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// At least one; names differ.
    pub modes: Vec<Mode>,
    /// Every metric that the plugin may record.
    pub metrics: Vec<MetricDef>,
    /// Every table that the plugin may append records to; names differ.
    pub tables: Vec<Table>,
}

/// Something that a plugin can be asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// The name in the suite.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The JSON Schema of the parameters: always an object.
    pub schema: Value,
    /// Whether it is of no use without a target.
    pub needs_target: bool,
}

impl Description {
    /// The mode with this name.
    #[must_use]
    pub fn mode(&self, name: &str) -> Option<&Mode> {
        self.modes.iter().find(|mode| mode.name == name)
    }
}

const LONGEST_METRIC: usize = 64;

/// Whether a metric may have this name: `[a-z_][a-z0-9_]*` with at most 64 characters.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_key(name) && name.len() <= LONGEST_METRIC
}

/// The most modes and metrics of a plugin.
const MOST_MODES: usize = 64;
const MOST_METRICS: usize = 1000;
/// The longest name of a plugin, of a mode, and of a version in bytes.
const LONGEST_NAME: usize = 64;
/// The longest sentence in bytes; what is beyond is cut.
const LONGEST_TEXT: usize = 4096;
/// The largest schema in bytes.
const LARGEST_SCHEMA: usize = 1 << 20;

/// A text for people, as it may be shown.
pub(crate) fn sentence(text: &str) -> String {
    printable(cut(text, LONGEST_TEXT)).into_owned()
}

impl TryFrom<types::Description> for Description {
    type Error = DescriptionError;

    fn try_from(raw: types::Description) -> Result<Self, DescriptionError> {
        let (modes, metrics) = (raw.modes.len(), raw.metrics.len());
        if modes > MOST_MODES || metrics > MOST_METRICS {
            let text =
                format!("it has {modes} modes and {metrics} metrics; {MOST_MODES} and {MOST_METRICS} are the most");
            return Err(DescriptionError::new(text));
        }
        if !is_plugin_name(&raw.name) {
            return Err(DescriptionError::new(format!(
                "the name `{}` does not match [a-z][a-z0-9-]* with at most {LONGEST_NAME} characters",
                sentence(&raw.name)
            )));
        }
        if raw.modes.is_empty() {
            return Err(DescriptionError::new("it offers no mode".into()));
        }
        let mut modes: Vec<Mode> = Vec::with_capacity(raw.modes.len());
        for mode in raw.modes {
            let usable = (1..=LONGEST_NAME).contains(&mode.name.len()) && printable(&mode.name) == mode.name;
            if !usable || modes.iter().any(|known| known.name == mode.name) {
                let name = sentence(&mode.name);
                let text = format!("the mode `{name}` has no name of 1 to {LONGEST_NAME} bytes, or is there twice");
                return Err(DescriptionError::new(text));
            }
            modes.push(Mode {
                schema: schema(&mode.name, &mode.parameters)?,
                name: mode.name,
                description: sentence(&mode.description),
                needs_target: mode.needs_target,
            });
        }
        let mut metrics: Vec<MetricDef> = Vec::with_capacity(metrics);
        let mut names = FxHashSet::default();
        for metric in raw.metrics {
            let def = definition(&metric)?;
            if !names.insert(Arc::clone(&def.name)) {
                return Err(DescriptionError::new(format!("the metric `{}` is declared twice", def.name)));
            }
            metrics.push(def);
        }
        let tables = table::tables(raw.tables)?;
        let version = printable(cut(&raw.version, LONGEST_NAME)).into_owned();
        Ok(Self { name: raw.name, version, summary: sentence(&raw.summary), modes, metrics, tables })
    }
}

fn is_plugin_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn schema(mode: &str, text: &str) -> Result<Value, DescriptionError> {
    if text.len() > LARGEST_SCHEMA {
        let text = format!("the schema of mode `{mode}` has {} bytes; {LARGEST_SCHEMA} are the most", text.len());
        return Err(DescriptionError::new(text));
    }
    match serde_json::from_str(text) {
        Ok(mut schema @ Value::Object(_)) => {
            make_printable(&mut schema);
            Ok(schema)
        }
        Ok(_) => Err(DescriptionError::new(format!("the schema of mode `{mode}` is no JSON object"))),
        Err(error) => Err(DescriptionError::new(format!("the schema of mode `{mode}` is no JSON: {error}"))),
    }
}

/// Descriptions of parameters are shown to people, too.
fn make_printable(schema: &mut Value) {
    match schema {
        Value::String(text) => {
            if let Cow::Owned(changed) = printable(text) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_printable),
        Value::Object(members) => members.values_mut().for_each(make_printable),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn definition(metric: &types::Metric) -> Result<MetricDef, DescriptionError> {
    if !is_metric_name(&metric.name) {
        let name = sentence(&metric.name);
        return Err(DescriptionError::new(format!(
            "the metric name `{name}` does not match [a-z_][a-z0-9_]* with at most {LONGEST_METRIC} characters"
        )));
    }
    let kind = match metric.kind {
        types::MetricKind::Counter => MetricKind::Counter,
        types::MetricKind::Gauge => MetricKind::Gauge,
        types::MetricKind::Rate => MetricKind::Rate,
        types::MetricKind::Distribution => MetricKind::Distribution,
    };
    Ok(MetricDef::new(&metric.name, kind, unit(metric.unit), &sentence(&metric.description)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> types::Description {
        types::Description {
            name: "p-1".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            modes: vec![types::Mode {
                name: "M".into(),
                description: String::new(),
                parameters: "{}".into(),
                needs_target: false,
            }],
            metrics: vec![types::Metric {
                name: "p_x".into(),
                kind: types::MetricKind::Counter,
                unit: types::Unit::None,
                description: String::new(),
            }],
            tables: Vec::new(),
        }
    }

    #[test]
    fn a_good_description_is_taken_over() {
        let description = Description::try_from(raw()).unwrap();
        assert_eq!(description.mode("M").unwrap().schema, serde_json::json!({}));
        assert_eq!(&*description.metrics[0].name, "p_x");
    }

    #[test]
    fn every_mistake_is_named() {
        let wrong = |change: fn(&mut types::Description)| {
            let mut raw = raw();
            change(&mut raw);
            Description::try_from(raw).unwrap_err().to_string()
        };
        assert!(wrong(|d| d.name = "P".into()).contains("`P`"));
        assert!(wrong(|d| d.modes.clear()).contains("no mode"));
        assert!(wrong(|d| d.modes.push(d.modes[0].clone())).contains("twice"));
        assert!(wrong(|d| d.modes[0].parameters = "[]".into()).contains("no JSON object"));
        assert!(wrong(|d| d.modes[0].parameters = "{".into()).contains("no JSON:"));
        assert!(wrong(|d| d.metrics[0].name = "X".into()).contains("`X`"));
        assert!(wrong(|d| d.metrics.push(d.metrics[0].clone())).contains("declared twice"));
        assert!(wrong(|d| d.metrics = vec![d.metrics[0].clone(); 1001]).contains("1001 metrics"));
        assert!(wrong(|d| d.modes = vec![d.modes[0].clone(); 65]).contains("65 modes"));
        assert!(wrong(|d| d.modes[0].name = "M\u{1b}[2J".into()).contains("`M\\u{1b}[2J`"));
        assert!(wrong(|d| d.modes[0].parameters = " ".repeat(2 << 20)).contains("2097152 bytes"));
        assert!(wrong(|d| d.name = "p".repeat(65)).contains("at most 64"));
    }

    #[test]
    fn nothing_in_it_gives_orders_to_a_terminal() {
        let mut raw = raw();
        let order = "\u{1b}]0;title\u{7}";
        for text in [&mut raw.summary, &mut raw.version, &mut raw.modes[0].description, &mut raw.metrics[0].description]
        {
            *text = order.repeat(1000);
        }
        raw.modes[0].parameters = serde_json::json!({ "properties": { "a": { "description": order } } }).to_string();
        let shown = format!("{:?}", Description::try_from(raw).unwrap());
        assert!(!shown.contains(['\u{1b}', '\u{7}']) && shown.len() < 100_000);
    }
}
