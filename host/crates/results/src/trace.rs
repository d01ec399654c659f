//! Waterfalls: rows that take time, as a file of trace events that Perfetto and chrome://tracing open.
//!
//! In come the records of a run, from the tables whose rows are bars; rows that agree in their trace column belong together
//! and make one process of the file. Bars that overlap are put into different lanes, which are the process's threads, so that
//! none hides another. Of many traces only the slowest are taken: a viewer has its limits, and so do people.
//!
//! The format is the JSON object of the Trace Event Format: complete events (`"ph": "X"`) with `ts` and `dur` in
//! microseconds, and metadata events (`"ph": "M"`) that name processes and threads.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::journal::header;
use crate::records::{Row, Rows};
use crate::replace::replace;
use crate::{ReportError, RunFolder, TableInfo, instant};

/// Which traces are wanted.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// Only rows of tables with this name.
    pub table: Option<String>,
    /// Only the trace with this value.
    pub only: Option<String>,
    /// The slowest so many, unless one is named.
    pub slowest: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Traces in the file.
    pub traces: usize,
    /// Traces that there are.
    pub of: usize,
    /// Bars in the file.
    pub bars: usize,
    /// Rows of the traces in the file that have no start or no end, and are not in it.
    pub unfinished: usize,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The folder can't be read, or the file can't be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// No table's rows are bars.
    #[error("no plugin of this run keeps records of things that take time; `kperf-host plugins NAME` shows who does")]
    NoTables,
    /// There is no such table.
    #[error("there is no table `{wanted}` with a span in this run; there is {}", .there.join(", "))]
    NoSuchTable {
        /// What was asked for.
        wanted: String,
        /// The tables' names.
        there: Vec<String>,
    },
    /// Nothing was recorded under this value, or nothing at all.
    #[error("{0}")]
    Nothing(String),
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> Self {
        Self::Report(error.into())
    }
}

/// A trace: the scenario, and the value in the trace column.
type Key = (String, String);

/// When a trace begins and ends, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
struct Extent {
    begin: i64,
    end: i64,
}

impl Extent {
    fn length(self) -> i64 {
        self.end.saturating_sub(self.begin)
    }
}

/// A bar of a trace.
#[derive(Debug)]
struct Bar {
    table: usize,
    name: String,
    begin: i64,
    end: i64,
    args: Map<String, Value>,
}

/// Writes the traces that are wanted to the file `out`.
///
/// # Errors
/// When the folder holds no run, or nothing that is wanted.
pub fn trace(folder: &RunFolder, options: &TraceOptions, out: &Path) -> Result<Traced, TraceError> {
    let header = header(folder).map_err(ReportError::Journal)?.ok_or(ReportError::NoRun)?;
    let wanted = wanted(&header.tables, options)?;
    let extents = extents(folder, &header.tables, &wanted, options)?;
    let of = extents.len();
    if of == 0 {
        return Err(TraceError::Nothing(match &options.only {
            Some(value) => format!("no record has `{value}` in its trace column, or it has no start and end"),
            None => "there are no records with a start and an end yet".to_owned(),
        }));
    }
    let mut chosen: Vec<(Key, Extent)> = extents.into_iter().collect();
    // The slowest; among equals the first, so that a second call gives the same.
    chosen.sort_by(|(a, x), (b, y)| (Reverse(x.length()), x.begin, a).cmp(&(Reverse(y.length()), y.begin, b)));
    if options.only.is_none() {
        chosen.truncate(options.slowest.max(1));
    }
    let places: FxHashMap<&Key, usize> = chosen.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
    let (bars, unfinished) = bars(folder, &header.tables, &wanted, &places)?;
    let traced = Traced { traces: chosen.len(), of, bars: bars.iter().map(Vec::len).sum(), unfinished };
    replace(out, |file: File| {
        let mut file = BufWriter::new(file);
        Writer::new(&mut file)?.run(&header.run.id, &header.tables, &chosen, bars)?;
        file.flush()
    })?;
    Ok(traced)
}

/// Which tables' rows are wanted bars.
fn wanted(tables: &[TableInfo], options: &TraceOptions) -> Result<Vec<bool>, TraceError> {
    let is_wanted = |table: &TableInfo| options.table.as_ref().is_none_or(|name| table.name == *name);
    let spans = || tables.iter().filter(|table| table.span.is_some());
    if spans().next().is_none() {
        return Err(TraceError::NoTables);
    }
    if let Some(name) = options.table.as_ref().filter(|_| !spans().any(is_wanted)) {
        let mut there: Vec<String> = spans().map(|table| table.name.clone()).collect();
        there.sort();
        there.dedup();
        return Err(TraceError::NoSuchTable { wanted: name.clone(), there });
    }
    Ok(tables.iter().map(|table| table.span.is_some() && is_wanted(table)).collect())
}

/// A row's table and trace, and where its bar begins and ends, as far as they are known.
type Place<'t, 'r> = (&'t TableInfo, &'r str, Option<i64>, Option<i64>);

/// Finds a row's place; none if it is no bar.
fn place<'t, 'r>(tables: &'t [TableInfo], row: &'r Row) -> Option<Place<'t, 'r>> {
    let table = tables.get(row.table)?;
    let span = table.span?;
    let at = |place: usize| row.cells.get(place).and_then(Value::as_i64);
    Some((table, row.cells.get(span.trace)?.as_str()?, at(span.start), at(span.end)))
}

fn rows(
    folder: &RunFolder,
    tables: &[TableInfo],
    wanted: &[bool],
    mut each: impl FnMut(Row),
) -> Result<(), TraceError> {
    let Some(mut rows) = Rows::open(folder)? else { return Ok(()) };
    let is_wanted = |number: usize| wanted.get(number).copied().unwrap_or(false);
    while let Some(row) = rows.next(tables, is_wanted)? {
        each(row);
    }
    Ok(())
}

/// The first walk: every trace's extent.
fn extents(
    folder: &RunFolder,
    tables: &[TableInfo],
    wanted: &[bool],
    options: &TraceOptions,
) -> Result<FxHashMap<Key, Extent>, TraceError> {
    let mut extents: FxHashMap<Key, Extent> = FxHashMap::default();
    rows(folder, tables, wanted, |row| {
        let Some((table, trace, Some(begin), Some(end))) = place(tables, &row) else { return };
        if options.only.as_ref().is_some_and(|only| only != trace) {
            return;
        }
        let end = end.max(begin);
        let extent = extents.entry((table.source.clone(), trace.to_owned())).or_insert(Extent { begin, end });
        *extent = Extent { begin: extent.begin.min(begin), end: extent.end.max(end) };
    })?;
    Ok(extents)
}

/// The second walk: the bars of the chosen traces, and how many rows of theirs are none.
fn bars(
    folder: &RunFolder,
    tables: &[TableInfo],
    wanted: &[bool],
    places: &FxHashMap<&Key, usize>,
) -> Result<(Vec<Vec<Bar>>, usize), TraceError> {
    let (mut bars, mut unfinished): (Vec<Vec<Bar>>, _) = (places.iter().map(|_| Vec::new()).collect(), 0);
    rows(folder, tables, wanted, |row| {
        let Some((table, trace, begin, end)) = place(tables, &row) else { return };
        let key = (table.source.clone(), trace.to_owned());
        let Some(bars) = places.get(&key).and_then(|at| bars.get_mut(*at)) else { return };
        let (Some(begin), Some(end)) = (begin, end) else {
            unfinished += 1;
            return;
        };
        let name = table.span.and_then(|span| row.cells.get(span.name)).and_then(Value::as_str);
        let name = name.unwrap_or(&table.name).to_owned();
        let number = row.table;
        let args = table.columns.iter().map(|column| column.name.clone()).zip(row.cells);
        let args = args.filter(|(_, cell)| !cell.is_null()).collect();
        bars.push(Bar { table: number, name, begin, end: end.max(begin), args });
    })?;
    Ok((bars, unfinished))
}

/// A lane for each bar, so that no two in a lane overlap: the first that is free when the bar begins.
fn lanes(bars: &[Bar]) -> Vec<usize> {
    let mut free_from: Vec<i64> = Vec::new();
    bars.iter()
        .map(|bar| {
            // A bar without length still takes its place: viewers would show one of two at the same instant.
            let end = bar.end.max(bar.begin.saturating_add(1));
            let lane = free_from.iter().position(|free| *free <= bar.begin).unwrap_or(free_from.len());
            match free_from.get_mut(lane) {
                Some(free) => *free = end,
                None => free_from.push(end),
            }
            lane
        })
        .collect()
}

/// Writes events one after the other.
struct Writer<W> {
    out: W,
    first: bool,
}

impl<W: Write> Writer<W> {
    fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
        Ok(Self { out, first: true })
    }

    fn event(&mut self, event: &impl Serialize) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.out.write_all(b",\n")?;
        }
        Ok(serde_json::to_writer(&mut self.out, event)?)
    }

    /// All traces, each a process, in the order in which they began; times count from the first bar.
    fn run(mut self, run: &str, tables: &[TableInfo], chosen: &[(Key, Extent)], bars: Vec<Vec<Bar>>) -> io::Result<()> {
        let origin = chosen.iter().map(|(_, extent)| extent.begin).min().unwrap_or(0);
        let mut traces: Vec<_> = chosen.iter().zip(bars).collect();
        traces.sort_by_key(|((_, extent), _)| extent.begin);
        for (process, (((scenario, trace), _), bars)) in traces.into_iter().enumerate() {
            let pid = process + 1;
            let name = format!("{scenario} {trace}");
            self.event(&json!({"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}}))?;
            self.event(&json!({"name": "process_sort_index", "ph": "M", "pid": pid, "args": {"sort_index": pid}}))?;
            self.process(pid, origin, tables, bars)?;
        }
        let origin = u64::try_from(origin).map(instant).unwrap_or_default();
        writeln!(self.out, "\n],\"otherData\":{}}}", json!({"run": run, "origin": origin}))
    }

    /// One trace: the lanes of each table follow each other.
    fn process(&mut self, pid: usize, origin: i64, tables: &[TableInfo], bars: Vec<Bar>) -> io::Result<()> {
        let mut by_table: BTreeMap<usize, Vec<Bar>> = BTreeMap::new();
        for bar in bars {
            by_table.entry(bar.table).or_default().push(bar);
        }
        let mut tid = 0;
        for (number, mut bars) in by_table {
            bars.sort_by_key(|bar| (bar.begin, Reverse(bar.end)));
            let lanes = lanes(&bars);
            let count = lanes.iter().max().map_or(0, |last| last + 1);
            let table = tables.get(number).map_or("", |table| &table.name);
            for lane in 0..count {
                let (name, tid) =
                    (if lane == 0 { table.to_owned() } else { format!("{table} {}", lane + 1) }, tid + lane + 1);
                self.event(&json!({"name": "thread_name", "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}))?;
                self.event(&json!({"name": "thread_sort_index", "ph": "M", "pid": pid, "tid": tid, "args": {"sort_index": tid}}))?;
            }
            for (bar, lane) in bars.into_iter().zip(lanes) {
                self.event(&json!({
                    "name": bar.name,
                    "cat": table,
                    "ph": "X",
                    "ts": microseconds(bar.begin.saturating_sub(origin)),
                    "dur": microseconds(bar.end.saturating_sub(bar.begin)),
                    "pid": pid,
                    "tid": tid + lane + 1,
                    "args": bar.args,
                }))?;
            }
            tid += count;
        }
        Ok(())
    }
}

fn microseconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(begin: i64, end: i64) -> Bar {
        Bar { table: 0, name: String::new(), begin, end, args: Map::new() }
    }

    #[test]
    fn bars_that_overlap_get_lanes_of_their_own() {
        let bars = [bar(0, 10), bar(0, 5), bar(5, 8), bar(10, 10), bar(10, 10), bar(11, 12)];
        assert_eq!(lanes(&bars), [0, 1, 1, 0, 1, 0]);
    }
}
