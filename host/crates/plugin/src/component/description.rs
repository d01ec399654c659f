//! What a plugin says of itself, checked.

use kperf_metrics::{MetricDef, MetricKind};
use serde_json::Value;

use crate::bindings::types;
use crate::component::description_error::DescriptionError;
use crate::component::unit::unit;
use crate::recording::series::is_key;
use crate::recording::table::{self, Table};

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

impl TryFrom<types::Description> for Description {
    type Error = DescriptionError;

    fn try_from(raw: types::Description) -> Result<Self, DescriptionError> {
        if !is_plugin_name(&raw.name) {
            return Err(DescriptionError::new(format!("the name `{}` does not match [a-z][a-z0-9-]*", raw.name)));
        }
        if raw.modes.is_empty() {
            return Err(DescriptionError::new("it offers no mode".into()));
        }
        let mut modes: Vec<Mode> = Vec::with_capacity(raw.modes.len());
        for mode in raw.modes {
            if mode.name.is_empty() || modes.iter().any(|known| known.name == mode.name) {
                return Err(DescriptionError::new(format!("the mode `{}` has no name or is there twice", mode.name)));
            }
            modes.push(Mode {
                schema: schema(&mode.name, &mode.parameters)?,
                name: mode.name,
                description: mode.description,
                needs_target: mode.needs_target,
            });
        }
        let mut metrics: Vec<MetricDef> = Vec::with_capacity(raw.metrics.len());
        for metric in raw.metrics {
            let def = definition(&metric)?;
            if metrics.iter().any(|known| known.name == def.name) {
                return Err(DescriptionError::new(format!("the metric `{}` is declared twice", def.name)));
            }
            metrics.push(def);
        }
        let tables = table::tables(raw.tables)?;
        Ok(Self { name: raw.name, version: raw.version, summary: raw.summary, modes, metrics, tables })
    }
}

fn is_plugin_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn schema(mode: &str, text: &str) -> Result<Value, DescriptionError> {
    match serde_json::from_str(text) {
        Ok(schema @ Value::Object(_)) => Ok(schema),
        Ok(_) => Err(DescriptionError::new(format!("the schema of mode `{mode}` is no JSON object"))),
        Err(error) => Err(DescriptionError::new(format!("the schema of mode `{mode}` is no JSON: {error}"))),
    }
}

fn definition(metric: &types::Metric) -> Result<MetricDef, DescriptionError> {
    if !is_metric_name(&metric.name) {
        let name = &metric.name;
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
    Ok(MetricDef::new(&metric.name, kind, unit(metric.unit), &metric.description))
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
    }
}
