//! Tables of records: what a plugin says of them, checked, and rows held against that.

use kperf_metrics::{Cell, Unit};

use crate::bindings::records::Value;
use crate::bindings::types;
use crate::component::description::sentence;
use crate::component::description_error::DescriptionError;
use crate::component::unit::unit;
use crate::environment::redactor::Redactor;
use crate::recording::series::is_key;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A yes or no.
    Boolean,
    /// An instant, in nanoseconds since the Unix epoch.
    Instant,
}

impl ColumnType {
    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Instant => "instant",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `[a-z_][a-z0-9_]*`.
    pub name: String,
    /// What its cells are.
    pub of: ColumnType,
    /// The unit of numbers.
    pub unit: Unit,
    /// One sentence.
    pub description: String,
}

/// The columns that make a row a bar in a waterfall; all of them exist and have the right type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Rows that agree in this column belong together.
    pub trace: String,
    /// What to write on the bar.
    pub name: String,
    /// Where the bar begins.
    pub start: String,
    /// Where it ends.
    pub end: String,
}

/// A table that a plugin may append records to.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// `[a-z_][a-z0-9_]*`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// At least one; names differ.
    pub columns: Vec<Column>,
    /// Given if its rows are things that take time.
    pub span: Option<Span>,
}

const LONGEST_NAME: usize = 64;
const MOST_TABLES: usize = 64;
const MOST_COLUMNS: usize = 256;

/// The column that the host adds to each table's file.
const SCENARIO: &str = "scenario";

/// The longest text of a cell in bytes; a longer one is cut.
const LONGEST_TEXT: usize = 4096;

/// Checks the tables of a description.
pub(crate) fn tables(raw: Vec<types::Table>) -> Result<Vec<Table>, DescriptionError> {
    if raw.len() > MOST_TABLES {
        return Err(DescriptionError::new(format!("it has {} tables; {MOST_TABLES} are the most", raw.len())));
    }
    let mut tables: Vec<Table> = Vec::with_capacity(raw.len());
    for table in raw {
        let table = self::table(table)?;
        if tables.iter().any(|known| known.name == table.name) {
            return Err(DescriptionError::new(format!("the table `{}` is declared twice", table.name)));
        }
        tables.push(table);
    }
    Ok(tables)
}

fn named(what: &str, name: &str) -> Result<(), DescriptionError> {
    if is_key(name) && name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let name = sentence(name);
    Err(DescriptionError::new(format!(
        "the {what} `{name}` does not match [a-z_][a-z0-9_]* with at most {LONGEST_NAME} characters"
    )))
}

fn table(raw: types::Table) -> Result<Table, DescriptionError> {
    named("table name", &raw.name)?;
    let wrong = |text: String| Err(DescriptionError::new(format!("the table `{}` {text}", raw.name)));
    if raw.columns.is_empty() || raw.columns.len() > MOST_COLUMNS {
        return wrong(format!("has {} columns; 1 to {MOST_COLUMNS} are possible", raw.columns.len()));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(raw.columns.len());
    for column in &raw.columns {
        named("column name", &column.name)?;
        if column.name == SCENARIO {
            return wrong(format!("has a column `{SCENARIO}`, which the host adds itself; leave it out"));
        }
        if columns.iter().any(|known| known.name == column.name) {
            return wrong(format!("has the column `{}` twice", column.name));
        }
        let of = match column.of {
            types::ColumnType::Text => ColumnType::Text,
            types::ColumnType::Integer => ColumnType::Integer,
            types::ColumnType::Number => ColumnType::Number,
            types::ColumnType::Boolean => ColumnType::Boolean,
            types::ColumnType::Instant => ColumnType::Instant,
        };
        let (name, description) = (column.name.clone(), sentence(&column.description));
        columns.push(Column { name, of, unit: unit(column.unit), description });
    }
    if let Some(span) = &raw.span {
        for (role, name, wanted) in [
            ("trace", &span.trace, ColumnType::Text),
            ("name", &span.name, ColumnType::Text),
            ("start", &span.start, ColumnType::Instant),
            ("end", &span.end, ColumnType::Instant),
        ] {
            match columns.iter().find(|column| column.name == *name) {
                None => return wrong(format!("has no column `{name}` for its span's {role}")),
                Some(column) if column.of != wanted => {
                    let (is, wanted) = (column.of.name(), wanted.name());
                    return wrong(format!("needs a column of type {wanted} for its span's {role}; `{name}` is {is}"));
                }
                Some(_) => {}
            }
        }
    }
    let span = raw.span.map(|span| Span { trace: span.trace, name: span.name, start: span.start, end: span.end });
    Ok(Table { name: raw.name, description: sentence(&raw.description), columns, span })
}

/// Why a row is dropped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the table `{0}` is not in the plugin's description")]
    Table(String),
    #[error("a row of `{table}` has {cells} cells; the table has {columns} columns")]
    Length { table: String, cells: usize, columns: usize },
    #[error("a row of `{table}` has {is} in the column `{column}`, which is of type {wanted}")]
    Cell { table: String, column: String, is: &'static str, wanted: &'static str },
}

/// A row's table, by its place among the plugin's, and its cells, redacted. A number that is none (NaN, infinite) is
/// missing.
pub(crate) fn fit(
    tables: &[Table],
    name: &str,
    row: Vec<Value>,
    redactor: &Redactor,
) -> Result<(usize, Box<[Cell]>), Unfit> {
    let place = tables.iter().position(|table| table.name == name);
    let Some((place, table)) = place.and_then(|place| Some((place, tables.get(place)?))) else {
        return Err(Unfit::Table(cut(name, LONGEST_NAME).to_owned()));
    };
    if row.len() != table.columns.len() {
        let (cells, columns) = (row.len(), table.columns.len());
        return Err(Unfit::Length { table: table.name.clone(), cells, columns });
    }
    let cells = row.into_iter().zip(&table.columns).map(|(value, column)| {
        let unfit = |is| {
            let (column, wanted) = (column.name.clone(), column.of.name());
            Err(Unfit::Cell { table: table.name.clone(), column, is, wanted })
        };
        match (value, column.of) {
            (Value::Missing, _) => Ok(Cell::Missing),
            // Redaction comes first: a cut secret is not found any more.
            (Value::Text(text), ColumnType::Text) => Ok(Cell::Text(cut(&redactor.redact(&text), LONGEST_TEXT).into())),
            (Value::Integer(number), ColumnType::Integer) | (Value::Instant(number), ColumnType::Instant) => {
                Ok(Cell::Integer(number))
            }
            (Value::Number(number), ColumnType::Number) if number.is_finite() => Ok(Cell::Number(number)),
            (Value::Number(_), ColumnType::Number) => Ok(Cell::Missing),
            (Value::Boolean(yes), ColumnType::Boolean) => Ok(Cell::Boolean(yes)),
            (Value::Text(_), _) => unfit("a text"),
            (Value::Integer(_), _) => unfit("an integer"),
            (Value::Number(_), _) => unfit("a number"),
            (Value::Boolean(_), _) => unfit("a boolean"),
            (Value::Instant(_), _) => unfit("an instant"),
        }
    });
    Ok((place, cells.collect::<Result<_, _>>()?))
}

/// The text, or as much of it as `longest` bytes hold.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    text.split_at_checked(text.floor_char_boundary(longest)).map_or("", |(cut, _)| cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::secret::Secret;

    fn column(name: &str, of: types::ColumnType) -> types::Column {
        types::Column { name: name.into(), of, unit: types::Unit::None, description: String::new() }
    }

    fn raw() -> types::Table {
        let span = types::Span { trace: "run".into(), name: "task".into(), start: "start".into(), end: "end".into() };
        types::Table {
            name: "tasks".into(),
            description: String::new(),
            columns: vec![
                column("run", types::ColumnType::Text),
                column("task", types::ColumnType::Text),
                column("start", types::ColumnType::Instant),
                column("end", types::ColumnType::Instant),
                column("seconds", types::ColumnType::Number),
            ],
            span: Some(span),
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let wrong = |change: fn(&mut types::Table)| {
            let mut raw = raw();
            change(&mut raw);
            tables(vec![raw]).unwrap_err().to_string()
        };
        assert!(wrong(|t| t.name = "Tasks".into()).contains("`Tasks`"));
        assert!(wrong(|t| t.name = "../x".into()).contains("`../x`"));
        assert!(wrong(|t| t.columns.clear()).contains("0 columns"));
        assert!(wrong(|t| t.columns.push(t.columns[0].clone())).contains("`run` twice"));
        assert!(wrong(|t| t.columns[4].name = "scenario".into()).contains("adds itself"));
        assert!(wrong(|t| t.columns[4].name = "a b".into()).contains("`a b`"));
        let span = |t: &mut types::Table, column: &str| t.span.as_mut().unwrap().end = column.into();
        let mut missing = raw();
        span(&mut missing, "nowhere");
        assert!(tables(vec![missing]).unwrap_err().to_string().contains("no column `nowhere`"));
        let mut typed = raw();
        span(&mut typed, "seconds");
        let error = tables(vec![typed]).unwrap_err().to_string();
        assert!(error.contains("of type instant for its span's end; `seconds` is number"), "{error}");
        assert!(tables(vec![raw(), raw()]).unwrap_err().to_string().contains("declared twice"));
    }

    #[test]
    fn rows_are_held_against_their_table() {
        let tables = tables(vec![raw()]).unwrap();
        let redactor = Redactor::new([&Secret::new("hunter22")]);
        let row = |last: Value| {
            vec![Value::Text("run hunter22".into()), Value::Missing, Value::Instant(1), Value::Instant(-2), last]
        };
        let (place, cells) = fit(&tables, "tasks", row(Value::Number(0.5)), &redactor).unwrap();
        let text = Cell::Text("run ********".into());
        assert_eq!(place, 0);
        assert_eq!(*cells, [text, Cell::Missing, Cell::Integer(1), Cell::Integer(-2), Cell::Number(0.5)]);
        let (_, cells) = fit(&tables, "tasks", row(Value::Number(f64::NAN)), &redactor).unwrap();
        assert_eq!(cells[4], Cell::Missing);
        let unfit = |name: &str, row| fit(&tables, name, row, &redactor).unwrap_err().to_string();
        assert!(unfit("tasks", row(Value::Integer(1))).contains("an integer in the column `seconds`"));
        assert!(unfit("tasks", vec![Value::Missing]).contains("1 cells"));
        assert!(unfit("others", Vec::new()).contains("`others`"));
    }
}
