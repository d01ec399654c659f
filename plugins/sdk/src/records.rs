//! Rows about single things, kept whole in the run's folder.

use crate::{Column, ColumnType, Span, Table, Unit};

pub use crate::bindings::kperf::plugin::records::{Value, append};

impl Table {
    /// A table without columns yet; the name matches `[a-z_][a-z0-9_]*`.
    pub fn new(name: &str, description: &str) -> Self {
        Self { name: name.into(), description: description.into(), columns: Vec::new(), span: None }
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, name: &str, of: ColumnType, unit: Unit, description: &str) -> Self {
        self.columns.push(Column { name: name.into(), of, unit, description: description.into() });
        self
    }

    /// Adds columns: the name, type, unit and description of each.
    #[must_use]
    pub fn columns(self, columns: &[(&str, ColumnType, Unit, &str)]) -> Self {
        columns.iter().fold(self, |table, (name, of, unit, text)| table.column(name, *of, *unit, text))
    }

    /// Makes each row a bar in a waterfall: the column that rows of one trace agree in, the one to write on the bar, and
    /// the two instants where it begins and ends.
    #[must_use]
    pub fn span(mut self, trace: &str, name: &str, start: &str, end: &str) -> Self {
        self.span = Some(Span { trace: trace.into(), name: name.into(), start: start.into(), end: end.into() });
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Boolean(yes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}
