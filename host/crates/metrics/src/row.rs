//! Rows about single things, as plugins append them and as they are written down.

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
}
