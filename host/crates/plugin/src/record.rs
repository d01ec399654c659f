//! Rows about single things, gathered on a worker until the host takes them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

/// A cell of a row that fits its table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not known.
    Missing,
    /// A text.
    Text(Box<str>),
    /// A whole number, or an instant in nanoseconds since the Unix epoch.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A yes or no.
    Boolean(bool),
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Boolean(yes) => serializer.serialize_bool(*yes),
        }
    }
}

/// A row. As JSON it is an array: the table's number, then the cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The table's number in the run.
    pub table: u32,
    /// One per column.
    pub cells: Box<[Cell]>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_seq(Some(1 + self.cells.len()))?;
        row.serialize_element(&self.table)?;
        self.cells.iter().try_for_each(|cell| row.serialize_element(cell))?;
        row.end()
    }
}

/// Bytes of rows that wait at most; further rows are dropped until the host has taken these.
const LARGEST: usize = 16 << 20;

/// Rows on their way from a thread's plugins to the host. Cheap to clone. Only that thread locks it.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<Record>,
    bytes: usize,
}

impl Records {
    /// Takes what has been gathered.
    #[must_use]
    pub fn take(&self) -> Vec<Record> {
        let mut waiting = self.0.lock();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.rows)
    }

    /// Adds a row; false if there is no room for it.
    pub(crate) fn push(&self, record: Record) -> bool {
        let text = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        let size = size_of::<Record>() + record.cells.iter().map(|cell| size_of::<Cell>() + text(cell)).sum::<usize>();
        let mut waiting = self.0.lock();
        let fits = waiting.bytes + size <= LARGEST;
        if fits {
            waiting.bytes += size;
            waiting.rows.push(record);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_array_that_begins_with_its_table() {
        let cells =
            [Cell::Missing, Cell::Text("a\"b".into()), Cell::Integer(-3), Cell::Number(0.5), Cell::Boolean(true)];
        let record = Record { table: 2, cells: cells.into() };
        assert_eq!(serde_json::to_string(&record).unwrap(), r#"[2,null,"a\"b",-3,0.5,true]"#);
    }

    #[test]
    fn rows_that_nobody_takes_do_not_pile_up() {
        let records = Records::default();
        let row = || Record { table: 0, cells: [Cell::Text("x".repeat(1 << 20).into())].into() };
        let pushed = (0..100).filter(|_| records.push(row())).count();
        assert_eq!(pushed, 15);
        assert_eq!(records.take().len(), 15);
        assert!(records.push(row()));
    }
}
