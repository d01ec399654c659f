//! The rows of a Parquet file of records, as a test wants them.

use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A row of a batch.
pub struct Row {
    batch: RecordBatch,
    at: usize,
}

/// Every row of a file.
pub fn read(path: &Path) -> Vec<Row> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap);
    let rows = batches.flat_map(|batch| (0..batch.num_rows()).map(move |at| Row { batch: batch.clone(), at }));
    rows.collect()
}

impl Row {
    fn there(&self, column: &str) -> Option<&dyn arrow_array::Array> {
        let column = self.batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
        column.is_valid(self.at).then_some(column.as_ref())
    }

    pub fn text(&self, column: &str) -> Option<String> {
        self.there(column).map(|column| column.as_string::<i32>().value(self.at).to_owned())
    }

    pub fn number(&self, column: &str) -> Option<f64> {
        self.there(column).map(|column| column.as_primitive::<Float64Type>().value(self.at))
    }

    pub fn integer(&self, column: &str) -> Option<i64> {
        self.there(column).map(|column| column.as_primitive::<Int64Type>().value(self.at))
    }

    /// Nanoseconds since the Unix epoch.
    pub fn instant(&self, column: &str) -> Option<u64> {
        let instant = self.there(column)?.as_primitive::<TimestampNanosecondType>().value(self.at);
        Some(u64::try_from(instant).unwrap())
    }
}
