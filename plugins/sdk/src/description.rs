//! Descriptions, built step by step: modes, metrics and tables.

use crate::{Description, Metric, MetricKind, Mode, Table, Unit};

impl Description {
    /// A plugin without modes and metrics yet: its name (`[a-z][a-z0-9-]*`), version (use `env!("CARGO_PKG_VERSION")`) and
    /// one sentence for people.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            modes: Vec::new(),
            metrics: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Adds a mode; `parameters` is the JSON Schema (draft 2020-12) of the `params` table.
    #[must_use]
    pub fn mode(mut self, name: &str, description: &str, parameters: &str) -> Self {
        self.modes.push(Mode {
            name: name.into(),
            description: description.into(),
            parameters: parameters.into(),
            needs_target: false,
        });
        self
    }

    /// Says that the mode added last is of no use without a target.
    #[must_use]
    pub fn needs_target(mut self) -> Self {
        if let Some(mode) = self.modes.last_mut() {
            mode.needs_target = true;
        }
        self
    }

    /// Adds a metric that the plugin may record.
    #[must_use]
    pub fn metric(mut self, name: &str, kind: MetricKind, unit: Unit, description: &str) -> Self {
        self.metrics.push(Metric { name: name.into(), kind, unit, description: description.into() });
        self
    }

    /// Adds metrics: the name, kind, unit and description of each.
    #[must_use]
    pub fn metrics(self, metrics: &[(&str, MetricKind, Unit, &str)]) -> Self {
        metrics.iter().fold(self, |description, (name, kind, unit, text)| description.metric(name, *kind, *unit, text))
    }

    /// Adds a table that the plugin may append records to.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }
}
