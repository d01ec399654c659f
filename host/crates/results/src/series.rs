//! `series.parquet`: one row per second and series, for pandas, DuckDB and the like.
//!
//! `value` is a counter's increase, a gauge's last value, a rate's share, a distribution's sum. A column that a kind
//! does not have is null. Tags beyond scenario and operation are a JSON object, which both open without help.

use std::{fs::File, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder},
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use kperf_metrics::{Delta, SeriesInfo};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

/// Rows that are gathered before the writer encodes them.
const BATCH: usize = 4096;
/// Rows of a row group, which the writer holds in memory.
const ROW_GROUP: usize = 65_536;

/// The figures of one kind and second, where the kind has them.
#[derive(Debug, Default)]
struct Row {
    count: Option<u64>,
    value: f64,
    min: Option<f64>,
    mean: Option<f64>,
    max: Option<f64>,
    /// p50, p90, p95, p99, p99.9.
    quantiles: Option<[f64; 5]>,
}

impl Row {
    fn of(delta: &Delta) -> Self {
        match delta {
            Delta::Counter(sum) => Self { value: *sum, ..Self::default() },
            Delta::Rate(rate) => Self { count: Some(rate.total), value: rate.share(), ..Self::default() },
            Delta::Gauge(gauge) => Self {
                count: Some(gauge.count),
                value: gauge.last,
                min: Some(gauge.min),
                mean: Some(gauge.mean()),
                max: Some(gauge.max),
                quantiles: None,
            },
            Delta::Distribution(histogram) => {
                let figures = histogram.figures();
                Self {
                    count: Some(figures.count),
                    value: histogram.sum(),
                    min: Some(figures.min),
                    mean: Some(figures.mean),
                    max: Some(figures.max),
                    quantiles: Some([figures.p50, figures.p90, figures.p95, figures.p99, figures.p999]),
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Columns {
    time: TimestampNanosecondBuilder,
    second: Int64Builder,
    /// metric, kind, unit, scenario, operation, tags.
    texts: [StringBuilder; 6],
    count: UInt64Builder,
    value: Float64Builder,
    min: Float64Builder,
    mean: Float64Builder,
    quantiles: [Float64Builder; 5],
    max: Float64Builder,
    rows: usize,
}

/// Writes the rows of a run.
pub(crate) struct SeriesWriter {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    columns: Columns,
    /// The run's start, in nanoseconds since the Unix epoch.
    start: u64,
}

impl SeriesWriter {
    /// A file of rows whose seconds are counted from `start`, in nanoseconds since the Unix epoch.
    pub(crate) fn new(file: File, start: u64) -> Result<Self, ParquetError> {
        let schema = Arc::new(schema());
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties()?))?;
        Ok(Self { writer, schema, columns: Columns::default(), start })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, second: i64, info: &SeriesInfo, delta: &Delta) -> Result<(), ParquetError> {
        let row = Row::of(delta);
        let columns = &mut self.columns;
        let start = i64::try_from(self.start).unwrap_or(i64::MAX);
        columns.time.append_value(start.saturating_add(second.saturating_mul(1_000_000_000)));
        columns.second.append_value(second);
        let rest = info.tags.iter().filter(|(key, _)| !matches!(*key, "scenario" | "operation"));
        let rest: serde_json::Map<String, serde_json::Value> =
            rest.map(|(key, value)| (key.to_owned(), value.into())).collect();
        let texts = [
            Some(info.metric.name.to_string()),
            Some(info.metric.kind.to_string()),
            Some(info.metric.unit.to_string()),
            info.tags.get("scenario").map(str::to_owned),
            info.tags.get("operation").map(str::to_owned),
            Some(serde_json::Value::Object(rest).to_string()),
        ];
        columns.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_option(text));
        columns.count.append_option(row.count);
        columns.value.append_value(row.value);
        columns.min.append_option(row.min);
        columns.mean.append_option(row.mean);
        for (at, column) in columns.quantiles.iter_mut().enumerate() {
            column.append_option(row.quantiles.as_ref().and_then(|quantiles| quantiles.get(at)).copied());
        }
        columns.max.append_option(row.max);
        columns.rows += 1;
        if columns.rows >= BATCH { self.write() } else { Ok(()) }
    }

    /// Writes what is left, and the footer.
    pub(crate) fn finish(mut self) -> Result<(), ParquetError> {
        self.write()?;
        self.writer.close().map(|_| ())
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let batch = std::mem::take(&mut self.columns).batch(self.schema.clone())?;
        self.writer.write(&batch)
    }
}

/// How the host's Parquet files are written.
pub(crate) fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build())
}

impl Columns {
    fn batch(mut self, schema: Arc<Schema>) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(self.time.finish().with_timezone("UTC")), Arc::new(self.second.finish())];
        arrays.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        arrays.push(Arc::new(self.count.finish()));
        let middle = [&mut self.value, &mut self.min, &mut self.mean];
        for column in middle.into_iter().chain(&mut self.quantiles).chain([&mut self.max]) {
            arrays.push(Arc::new(column.finish()));
        }
        RecordBatch::try_new(schema, arrays)
    }
}

fn schema() -> Schema {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let mut fields = vec![Field::new("time", time, false), Field::new("second", DataType::Int64, false)];
    for (name, nullable) in
        [("metric", false), ("kind", false), ("unit", false), ("scenario", true), ("operation", true), ("tags", false)]
    {
        fields.push(Field::new(name, DataType::Utf8, nullable));
    }
    fields.push(Field::new("count", DataType::UInt64, true));
    fields.push(Field::new("value", DataType::Float64, false));
    for name in ["min", "mean", "p50", "p90", "p95", "p99", "p999", "max"] {
        fields.push(Field::new(name, DataType::Float64, true));
    }
    Schema::new(fields)
}
