//! Records: rows about single things. `records.jsonl` takes them while the run goes on, a row a line; from there they go,
//! table by table, into Parquet files with typed columns.
//!
//! A row is a JSON array: its table's number in the journal's opening, then a cell per column, null for what is not known.
//! Rows are never all in memory: each table's file is one walk through the lines.

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder},
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use kperf_metrics::Unit;
use parquet::{arrow::ArrowWriter, errors::ParquetError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ReportError;
use crate::replace::replace;
use crate::{RunFolder, series};

/// The folder of the tables' files.
const FOLDER: &str = "records";
/// Rows that are gathered before the writer encodes them.
const BATCH: usize = 4096;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
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

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// The name of its field in the Parquet file.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
    /// The unit of numbers.
    pub unit: Unit,
    /// One sentence.
    pub description: String,
}

/// The columns that make a row a bar in a waterfall, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanInfo {
    /// Rows that agree in this column belong together.
    pub trace: usize,
    /// What to write on the bar.
    pub name: usize,
    /// Where the bar begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A table that a plugin fills for one scenario or collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableInfo {
    /// The scenario or collector.
    pub source: String,
    /// The plugin's name.
    pub plugin: String,
    /// The table's name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// At least one.
    pub columns: Vec<ColumnInfo>,
    /// Given if its rows are things that take time.
    pub span: Option<SpanInfo>,
}

impl TableInfo {
    /// Whether rows of both belong into one file.
    fn is_like(&self, other: &Self) -> bool {
        (&self.plugin, &self.name, &self.columns) == (&other.plugin, &other.name, &other.columns)
    }
}

/// A table's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordsSummary {
    /// The plugin's name.
    pub plugin: String,
    /// The table's name.
    pub table: String,
    /// The file, relative to the run's folder.
    pub file: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether its rows are bars of a waterfall: `kperf-host trace`.
    pub spans: bool,
}

/// One row, as it was written down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The table's number.
    pub(crate) table: usize,
    /// One per column.
    pub(crate) cells: Vec<Value>,
}

/// Reads rows line by line.
pub(crate) struct Rows {
    file: BufReader<File>,
    line: Vec<u8>,
    /// Lines that could not be read. The last line of a killed run may be torn; that is none of them.
    pub(crate) damaged: u64,
}

impl Rows {
    /// None if the run has no records.
    pub(crate) fn open(folder: &RunFolder) -> io::Result<Option<Self>> {
        match File::open(folder.record_rows()) {
            Ok(file) => Ok(Some(Self { file: BufReader::new(file), line: Vec::new(), damaged: 0 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next row of a table that is wanted; none at the end. What can't be read is counted and left out.
    pub(crate) fn next(&mut self, tables: &[TableInfo], wanted: impl Fn(usize) -> bool) -> io::Result<Option<Row>> {
        loop {
            self.line.clear();
            if self.file.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            let number = number(&self.line);
            if number.is_some_and(|number| !wanted(number)) {
                continue;
            }
            let table = number.and_then(|number| Some((number, tables.get(number)?)));
            let row = table.and_then(|(number, table)| {
                let mut cells = serde_json::from_slice::<VecDeque<Value>>(&self.line).ok()?;
                cells.pop_front()?;
                (cells.len() == table.columns.len()).then_some(Row { table: number, cells: cells.into() })
            });
            match row {
                Some(row) => return Ok(Some(row)),
                // Only the last line has no end.
                None => self.damaged += u64::from(self.line.ends_with(b"\n")),
            }
        }
    }
}

/// The number that a line begins with, found without reading the rest.
fn number(line: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(b"[")?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(digits.get(..length)?).ok()?.parse().ok()
}

/// Writes a Parquet file for each table of each plugin, with the rows of all scenarios and folders in it; a table without rows
/// has a file, too. The files are in the first folder. Gives the files, and how many lines were damaged.
pub(crate) fn write(folders: &[RunFolder], tables: &[TableInfo]) -> Result<(Vec<RecordsSummary>, u64), ReportError> {
    let (mut written, mut damaged): (Vec<RecordsSummary>, _) = (Vec::new(), 0);
    let Some(into) = folders.first() else { return Ok((written, damaged)) };
    for (at, table) in tables.iter().enumerate() {
        if tables.iter().take(at).any(|earlier| earlier.is_like(table)) {
            continue;
        }
        // Two versions of a plugin may differ in a table's columns.
        let twins = written.iter().filter(|it| (&it.plugin, &it.table) == (&table.plugin, &table.name)).count();
        let suffix = if twins > 0 { format!("-{}", twins + 1) } else { String::new() };
        let file = format!("{FOLDER}/{}/{}{suffix}.parquet", table.plugin, table.name);
        let path = into.records(&file);
        fs::create_dir_all(path.parent().unwrap_or(into.path()))?;
        let (rows, lost) = replace(&path, |file| copy(folders, tables, table, file))?;
        // A line that belongs to no table is met on every walk.
        damaged = damaged.max(lost);
        let (plugin, name, spans) = (table.plugin.clone(), table.name.clone(), table.span.is_some());
        written.push(RecordsSummary { plugin, table: name, file, rows, spans });
    }
    Ok((written, damaged))
}

/// Copies one table's rows; gives how many, and how many lines could not be read.
fn copy(folders: &[RunFolder], tables: &[TableInfo], like: &TableInfo, file: File) -> Result<(u64, u64), ReportError> {
    let mut writer = TableWriter::new(file, like).map_err(ReportError::Records)?;
    let (mut count, mut damaged) = (0, 0);
    let wanted = |number: usize| tables.get(number).is_none_or(|table| table.is_like(like));
    for folder in folders {
        let Some(mut rows) = Rows::open(folder)? else { continue };
        while let Some(row) = rows.next(tables, wanted)? {
            let source = tables.get(row.table).map_or("", |table| &table.source);
            writer.push(source, &row.cells).map_err(ReportError::Records)?;
            count += 1;
        }
        damaged += rows.damaged;
    }
    writer.finish().map_err(ReportError::Records)?;
    Ok((count, damaged))
}

/// Gathers the cells of one column.
enum Cells {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Instant(TimestampNanosecondBuilder),
}

impl Cells {
    fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Integer => Self::Integer(Int64Builder::new()),
            ColumnKind::Number => Self::Number(Float64Builder::new()),
            ColumnKind::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnKind::Instant => Self::Instant(TimestampNanosecondBuilder::new()),
        }
    }

    /// A cell of another type than the column's is not known.
    fn push(&mut self, cell: &Value) {
        match self {
            Self::Text(cells) => cells.append_option(cell.as_str()),
            Self::Integer(cells) => cells.append_option(cell.as_i64()),
            Self::Number(cells) => cells.append_option(cell.as_f64()),
            Self::Boolean(cells) => cells.append_option(cell.as_bool()),
            Self::Instant(cells) => cells.append_option(cell.as_i64()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Integer(cells) => Arc::new(cells.finish()),
            Self::Number(cells) => Arc::new(cells.finish()),
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Instant(cells) => Arc::new(cells.finish().with_timezone("UTC")),
        }
    }
}

struct TableWriter {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    sources: StringBuilder,
    columns: Vec<Cells>,
    rows: usize,
}

impl TableWriter {
    fn new(file: File, table: &TableInfo) -> Result<Self, ParquetError> {
        let schema = Arc::new(schema(table));
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(series::properties()?))?;
        let columns = table.columns.iter().map(|column| Cells::new(column.kind)).collect();
        Ok(Self { writer, schema, sources: StringBuilder::new(), columns, rows: 0 })
    }

    fn push(&mut self, source: &str, cells: &[Value]) -> Result<(), ParquetError> {
        self.sources.append_value(source);
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        self.rows += 1;
        if self.rows >= BATCH { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        let sources: ArrayRef = Arc::new(self.sources.finish());
        let arrays = std::iter::once(sources).chain(self.columns.iter_mut().map(Cells::finish)).collect();
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn finish(mut self) -> Result<(), ParquetError> {
        self.write()?;
        self.writer.close().map(|_| ())
    }
}

/// The scenario's name first, then the table's own columns; units and descriptions are in the fields' metadata.
fn schema(table: &TableInfo) -> Schema {
    let mut fields = vec![Field::new("scenario", DataType::Utf8, false)];
    for column in &table.columns {
        let kind = match column.kind {
            ColumnKind::Text => DataType::Utf8,
            ColumnKind::Integer => DataType::Int64,
            ColumnKind::Number => DataType::Float64,
            ColumnKind::Boolean => DataType::Boolean,
            ColumnKind::Instant => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        };
        let metadata = [("unit", column.unit.to_string()), ("description", column.description.clone())];
        let metadata: HashMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        fields.push(Field::new(&column.name, kind, true).with_metadata(metadata));
    }
    let metadata = HashMap::from([("description".to_owned(), table.description.clone())]);
    Schema::new(fields).with_metadata(metadata)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use arrow_array::{Array as _, cast::AsArray as _, types::Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn column(name: &str, kind: ColumnKind) -> ColumnInfo {
        ColumnInfo { name: name.into(), kind, unit: Unit::None, description: String::new() }
    }

    fn table(source: &str, columns: Vec<ColumnInfo>) -> TableInfo {
        let (plugin, name) = ("p".into(), "t".into());
        TableInfo { source: source.into(), plugin, name, description: String::new(), columns, span: None }
    }

    fn batches(path: &Path) -> Vec<RecordBatch> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        builder.build().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn equal_tables_share_a_file_and_different_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let number = || vec![column("n", ColumnKind::Integer)];
        let tables = [table("a", number()), table("b", number()), table("c", vec![column("n", ColumnKind::Text)])];
        fs::write(folder.record_rows(), "[0,1]\n[1,2]\n[2,\"x\"]\n[0,null]\n").unwrap();
        let (written, damaged) = write(std::slice::from_ref(&folder), &tables).unwrap();
        let files: Vec<_> = written.iter().map(|it| (it.file.as_str(), it.rows)).collect();
        assert_eq!((files, damaged), (vec![("records/p/t.parquet", 3), ("records/p/t-2.parquet", 1)], 0));
        let [batch] = batches(&dir.path().join("records/p/t.parquet")).try_into().unwrap();
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        assert_eq!(batch.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!((numbers.value(1), numbers.is_valid(2)), (2, false));
    }

    #[test]
    fn damage_is_counted_once_and_a_torn_end_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let tables =
            [table("a", vec![column("n", ColumnKind::Integer)]), table("a", vec![column("n", ColumnKind::Text)])];
        fs::write(folder.record_rows(), "[0,1]\nnonsense\n[7,1]\n\n[0,1,2]\n[\n[0,1").unwrap();
        let (written, damaged) = write(std::slice::from_ref(&folder), &tables).unwrap();
        assert_eq!((written[0].rows, written[1].rows, damaged), (1, 0, 5));
        fs::remove_file(folder.record_rows()).unwrap();
        let (written, _) = write(std::slice::from_ref(&folder), &tables).unwrap();
        assert_eq!(written.len(), 2, "a table without rows has a file, too");
    }

    #[test]
    fn many_rows_go_through_in_batches() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let tables = [table("a", vec![column("n", ColumnKind::Integer), column("name", ColumnKind::Text)])];
        let mut file = io::BufWriter::new(File::create(folder.record_rows()).unwrap());
        for row in 0..150_000 {
            writeln!(file, "[0,{row},\"row {row}\"]").unwrap();
        }
        file.flush().unwrap();
        let (written, damaged) = write(std::slice::from_ref(&folder), &tables).unwrap();
        assert_eq!((written[0].rows, damaged), (150_000, 0));
        let path = dir.path().join("records/p/t.parquet");
        let metadata = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        assert_eq!(metadata.metadata().num_row_groups(), 3, "row groups are what is held in memory");
        let sum: i64 =
            batches(&path).iter().flat_map(|it| it.column(1).as_primitive::<Int64Type>().values().to_vec()).sum();
        assert_eq!(sum, 150_000 * 149_999 / 2);
    }
}
