//! From a run's journal to the files of its results.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use kperf_metrics::{Delta, Registry};

use crate::earlier;
use crate::error::ReportError;
use crate::histograms::{FastV2, HistogramLog};
use crate::journal::JournalReader;
use crate::records;
use crate::replace::replace;
use crate::seconds::{Second, Seconds};
use crate::series::SeriesWriter;
use crate::{Fold, Merged, RunEvent, RunFolder, Summary};

/// Makes the results of a run from what is in its folder: `summary.json`, `series.parquet`, `histograms.hlog` and the files in
/// `records/`; completes `run.json`. A journal without an end belongs to a run that was killed: the results reach as far as the
/// journal does, and say so.
///
/// Of several folders, each with a part of the run, the first one gets the results; it names the run.
///
/// # Errors
/// When a folder holds no journal, or the results can't be written.
pub fn finish(folders: &[RunFolder]) -> Result<Summary, ReportError> {
    results(folders, None)
}

/// Makes the results of a run that has just ended: as [`finish`], with what was folded while it went on.
///
/// # Errors
/// When the results can't be written.
pub fn finish_live(folder: &RunFolder, fold: Fold) -> Result<Summary, ReportError> {
    results(std::slice::from_ref(folder), Some(fold))
}

fn results(folders: &[RunFolder], live: Option<Fold>) -> Result<Summary, ReportError> {
    let into = folders.first().ok_or(ReportError::NoRun)?;
    let replay = Replay::open(folders)?;
    let start = replay.fold.header.run.start_unix_ns;
    let mut fold = replace(&into.series(), |rows| {
        let mut rows = SeriesWriter::new(rows, start)?;
        let fold = replace(&into.histograms(), |file| {
            let mut file = BufWriter::new(file);
            let mut serializer = FastV2::default();
            let mut writers =
                SecondWriters { rows: &mut rows, log: HistogramLog::new(&mut file, &mut serializer, start)? };
            let fold = replay.write(live, &mut writers)?;
            file.flush()?;
            Ok::<_, ReportError>(fold)
        })?;
        rows.finish()?;
        Ok::<_, ReportError>(fold)
    })?;
    let (written, damaged) = records::write(folders, &fold.header.tables)?;
    fold.recorded(written, damaged);
    let mut summary = fold.summary();
    summary.previous = earlier::of(into, &summary.run);
    let text = serde_json::to_string_pretty(&summary).map_err(io::Error::from)?;
    replace(&into.summary(), |mut file: File| writeln!(file, "{text}"))?;
    summary.run.write(into)?;
    Ok(summary)
}

/// One walk through the journals of a run.
struct Replay {
    registry: Registry,
    readers: Vec<Part>,
    fold: Fold,
    seconds: Seconds,
}

/// A journal, and the event that comes next in it.
struct Part {
    reader: JournalReader,
    next: Option<RunEvent>,
    ended: bool,
}

impl Replay {
    fn open(folders: &[RunFolder]) -> Result<Self, ReportError> {
        // The limit was held while the run went on.
        let registry = Registry::new(usize::MAX);
        let (mut readers, mut first) = (Vec::new(), None);
        for folder in folders {
            let mut reader = JournalReader::open(folder, registry.clone()).map_err(ReportError::Journal)?;
            let Some(RunEvent::Prepared(header)) = reader.next().map_err(ReportError::Journal)? else {
                return Err(ReportError::NoRun);
            };
            first.get_or_insert(*header);
            let next = reader.next().map_err(ReportError::Journal)?;
            readers.push(Part { reader, next, ended: false });
        }
        let header = first.ok_or(ReportError::NoRun)?;
        let seconds = Seconds::new(header.run.start_unix_ns);
        Ok(Self { fold: Fold::new(header, registry.clone()), registry, readers, seconds })
    }

    /// The next event: whatever is no interval at once, then the interval that ended first.
    fn next(&mut self) -> Result<Option<RunEvent>, ReportError> {
        let end = |part: &Part| match &part.next {
            Some(RunEvent::Merged(merged)) => Some(merged.interval.end),
            Some(_) => Some(0),
            None => None,
        };
        let parts = self.readers.iter_mut().filter_map(|part| Some((end(part)?, part)));
        let Some((_, part)) = parts.min_by_key(|(end, _)| *end) else { return Ok(None) };
        let following = part.reader.next().map_err(ReportError::Journal)?;
        let event = std::mem::replace(&mut part.next, following);
        part.ended |= matches!(event, Some(RunEvent::Ended(_)));
        Ok(event)
    }

    /// Writes every second, and gives what all events come to: `live`, if it was folded while the run went on.
    fn write(mut self, live: Option<Fold>, writers: &mut SecondWriters<'_, '_>) -> Result<Fold, ReportError> {
        let registry = self.registry.clone();
        while let Some(event) = self.next()? {
            if live.is_none() {
                self.fold.apply(&event);
            }
            if let RunEvent::Merged(Merged { interval, .. }) = event {
                self.seconds.add(interval, &registry, |at, second| writers.second(&registry, at, second))?;
            }
        }
        self.seconds.finish(|at, second| writers.second(&registry, at, second))?;
        let replayed = live.is_none();
        let mut fold = live.unwrap_or(self.fold);
        for Part { reader, ended, .. } in &self.readers {
            fold.damaged(reader.damaged());
            fold.skipped(reader.unknown());
            // A part that was killed leaves the whole without an end.
            if replayed && !ended {
                fold.end = None;
            }
        }
        Ok(fold)
    }
}

/// The files that have every second.
struct SecondWriters<'a, 'f> {
    rows: &'a mut SeriesWriter,
    log: HistogramLog<'f, BufWriter<File>>,
}

impl SecondWriters<'_, '_> {
    fn second(&mut self, registry: &Registry, at: i64, second: &Second) -> Result<(), ReportError> {
        for (id, delta) in second {
            let Some(info) = registry.info(*id) else { continue };
            self.rows.push(at, &info, delta)?;
            if let Delta::Distribution(histogram) = delta {
                self.log.push(at, &info, histogram).map_err(ReportError::Histograms)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
    };

    use arrow_array::{Array as _, Float64Array, Int64Array, StringArray, cast::AsArray as _, types::Int64Type};
    use kperf_metrics::{
        Builtin, Incident, MetricDef, MetricKind, Severity, Shard, Tags, ThresholdChange, ThresholdState, Unit,
    };
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::{
        End, Journal, Machine, PluginInfo, RunHeader, RunInfo, ScenarioChange, ScenarioInfo, ScenarioState, Status,
        ThresholdOutcome, digest_of, instant,
    };

    const START: u64 = 1_700_000_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn header() -> RunHeader {
        RunHeader {
            schema: RunHeader::SCHEMA,
            run: RunInfo {
                id: "r1".into(),
                suite: "quick".into(),
                suite_digest: digest_of(b"[suite]"),
                environment: Some("local".into()),
                overrides: Vec::new(),
                suite_folder: "/suites".into(),
                cell: None,
                plugins: vec![PluginInfo {
                    name: "http-runner".into(),
                    version: "0.1.0".into(),
                    digest: digest_of(b"wasm"),
                    source: "built-in".into(),
                }],
                host_version: "0.1.0".into(),
                git_commit: None,
                machine: Machine::detect(),
                start_unix_ns: START,
                start: instant(START),
                end: None,
                status: Status::Running,
                facts: BTreeMap::default(),
            },
            scenarios: vec![ScenarioInfo {
                name: "runs".into(),
                plugin: "http-runner".into(),
                mode: "REQUESTS".into(),
                executor: "constant-arrival-rate 10/s".into(),
                open_model: true,
                workers: 2,
                target: None,
                spread: None,
                thresholds: vec![
                    "http_req_duration{operation=create} p(95) < 500ms".into(),
                    "checks rate > 99%".into(),
                ],
                criteria: None,
            }],
            thresholds: vec!["http_reqs rate == 20/s".into()],
            tables: Vec::new(),
            severities: Vec::new(),
        }
    }

    /// Ten seconds of two operations at 10/s each: `create` takes 100 ms, `get` 5 ms and fails once a second.
    fn measure(journal: &mut Journal, seconds: u64) {
        let registry = Registry::default();
        let tags = Tags::new([("scenario", "runs")]);
        let id = |builtin: Builtin, tags: &Tags| registry.series(builtin.into(), tags.clone()).unwrap();
        let depth = MetricDef::new("kfp_queue_depth", MetricKind::Gauge, Unit::None, "");
        let depth = registry.series(registry.metric(&depth).unwrap(), tags.with("queue", "pods")).unwrap();
        let change = ScenarioChange::Started { scenario: "runs".into(), unix_ns: START };
        journal.write(&RunEvent::Scenario(change)).unwrap();
        let mut shard = Shard::new(registry.clone(), START);
        for second in 0..seconds {
            for request in 0..10_u64 {
                for (operation, ms) in [("create", 100), ("get", 5)] {
                    let failed = operation == "get" && request == 0;
                    let tags = tags.with("operation", operation);
                    let status = if failed { "503" } else { "200" };
                    shard.count(id(Builtin::HttpReqs, &tags.with("status", status)), 1.0);
                    shard.rate(id(Builtin::HttpReqFailed, &tags), failed);
                    shard.record_ns(id(Builtin::HttpReqDuration, &tags), ms * 1_000_000);
                }
                shard.count(id(Builtin::Iterations, &tags), 1.0);
                shard.rate(id(Builtin::Checks, &tags.with("check", "is json")), true);
            }
            shard.count(id(Builtin::IterationsFailed, &tags.with("kind", "http-status")), 1.0);
            // A series that appears later, and a collector that is a second behind.
            if second >= 1 {
                shard.record_at(depth, second as f64, START + (second - 1) * SECOND);
            }
            let interval = shard.take(START + (second + 1) * SECOND);
            journal.write(&RunEvent::Merged(Merged { registry: registry.clone(), interval })).unwrap();
        }
    }

    /// A journal that begins.
    fn create(folder: &RunFolder, header: RunHeader) -> Journal {
        let mut journal = Journal::create(folder, &header).unwrap();
        journal.write(&RunEvent::Prepared(Box::new(header))).unwrap();
        journal
    }

    fn run(folder: &RunFolder) {
        let mut journal = create(folder, header());
        measure(&mut journal, 10);
        for _ in 0..3 {
            let (source, kind, message) = ("runs".into(), "trap".into(), "out of bounds".into());
            journal.write(&RunEvent::Incident(Incident { source, kind, message, count: 2 })).unwrap();
        }
        let (scenario, unix_ns) = ("runs".to_owned(), START + 10 * SECOND);
        let finished = ScenarioChange::Finished { scenario, unix_ns, elapsed_ns: 10 * SECOND, interrupted: 1 };
        journal.write(&RunEvent::Scenario(finished)).unwrap();
        journal
            .write(&RunEvent::Ended(End { unix_ns: START + 11 * SECOND, interrupted: false, exit_code: None }))
            .unwrap();
    }

    #[test]
    fn a_run_that_ended_gives_its_figures_and_its_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        run(&folder);
        let summary = finish(std::slice::from_ref(&folder)).unwrap();
        assert_eq!((summary.verdict.outcome.as_str(), summary.verdict.exit_code), ("pass", 0), "{:?}", summary.verdict);
        assert!(summary.thresholds.iter().all(|t| t.outcome == ThresholdOutcome::Pass), "{:?}", summary.thresholds);
        assert_eq!((summary.interrupted, summary.run.status), (false, Status::Complete));
        assert_eq!(summary.run.end.as_deref(), Some("2023-11-14T22:13:31.000Z"));
        assert_eq!((summary.incidents.len(), summary.incidents[0].count), (1, 6));
        let scenario = &summary.scenarios[0];
        assert_eq!((scenario.state, scenario.elapsed), (ScenarioState::Finished, 10.0));
        let iterations = &scenario.iterations;
        assert_eq!((iterations.count, iterations.failed, iterations.interrupted), (100, 10, 1));
        assert_eq!((iterations.rate, iterations.failures[0].kind.as_str()), (10.0, "http-status"));
        let [create, get] = scenario.operations.as_slice() else { panic!("{:?}", scenario.operations) };
        assert_eq!((create.operation.as_str(), create.count, create.failures, create.rate), ("create", 100, 0, 10.0));
        assert_eq!((get.operation.as_str(), get.count, get.failures), ("get", 100, 10));
        let statuses: Vec<_> = get.statuses.iter().map(|s| (s.status.as_str(), s.count)).collect();
        assert_eq!(statuses, [("200", 90), ("503", 10)]);
        assert_eq!(create.duration.map(|spread| (spread.count, spread.p95)), Some((100, 0.1)));
        assert_eq!(create.phases.connecting, None);
        assert_eq!((scenario.checks[0].name.as_str(), scenario.checks[0].passes), ("is json", 100));
        let metric = &scenario.metrics[0];
        assert_eq!(
            (metric.name.as_str(), metric.value, metric.tags["queue"].as_str()),
            ("kfp_queue_depth", 9.0, "pods")
        );
        let written = |name: &str| fs::read(dir.path().join(name)).unwrap();
        assert_eq!(serde_json::from_slice::<Summary>(&written("summary.json")).unwrap(), summary);
        assert_eq!(serde_json::from_slice::<RunInfo>(&written("run.json")).unwrap(), summary.run);
    }

    #[test]
    fn a_killed_run_is_reported_up_to_its_last_whole_second() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let mut journal = create(&folder, header());
        measure(&mut journal, 4);
        drop(journal);
        let before: RunInfo = serde_json::from_slice(&fs::read(dir.path().join("run.json")).unwrap()).unwrap();
        assert_eq!(before.status, Status::Running);
        // The last line is torn in the middle.
        let path = dir.path().join("journal.jsonl");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 40]).unwrap();
        let summary = finish(std::slice::from_ref(&folder)).unwrap();
        assert_eq!((summary.interrupted, summary.run.status), (true, Status::Interrupted));
        assert_eq!((summary.verdict.outcome.as_str(), summary.verdict.exit_code), ("inconclusive", 130));
        assert!(summary.verdict.reasons.iter().all(|reason| reason.kind == "interrupted"), "{:?}", summary.verdict);
        assert!(summary.incidents.is_empty(), "a torn last line is no damage: {:?}", summary.incidents);
        let scenario = &summary.scenarios[0];
        assert_eq!((scenario.state, scenario.elapsed, scenario.iterations.count), (ScenarioState::Running, 3.0, 30));
        assert_eq!(summary.run.end, Some(instant(START + 3 * SECOND)));
        let again = finish(std::slice::from_ref(&folder)).unwrap();
        assert_eq!(again, summary, "reporting again changes nothing");
    }

    #[test]
    fn a_breach_and_an_abort_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let mut header = header();
        let text = "http_req_failed rate < 1%".to_owned();
        header.scenarios[0].thresholds.push(text.clone());
        let mut journal = create(&folder, header);
        measure(&mut journal, 2);
        let change = ThresholdChange {
            scenario: "runs".to_owned(),
            threshold: text,
            state: ThresholdState::Aborted,
            value: 0.05,
            limit: 0.01,
            unit: Unit::Ratio,
            severity: Severity::Error,
            unix_ns: START,
        };
        journal.write(&RunEvent::Threshold(change)).unwrap();
        journal
            .write(&RunEvent::Ended(End { unix_ns: START + 2 * SECOND, interrupted: false, exit_code: None }))
            .unwrap();
        let summary = finish(std::slice::from_ref(&folder)).unwrap();
        assert_eq!((summary.verdict.outcome.as_str(), summary.verdict.exit_code), ("fail", 3));
        let breach = &summary.thresholds[2];
        assert_eq!((breach.outcome, breach.value, breach.aborted), (ThresholdOutcome::Breach, Some(0.05), true));
        assert_eq!(breach.unit, "ratio");
    }

    #[test]
    fn damage_inside_the_journal_makes_the_verdict_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        run(&folder);
        let path = dir.path().join("journal.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let damaged: Vec<_> =
            text.lines().enumerate().map(|(at, line)| if at == 20 { &line[..9] } else { line }).collect();
        fs::write(&path, damaged.join("\n") + "\n").unwrap();
        let summary = finish(std::slice::from_ref(&folder)).unwrap();
        assert!(summary.verdict.reasons.iter().any(|reason| reason.kind == "missing-samples"), "{:?}", summary.verdict);
        assert!(summary.incidents.iter().any(|incident| incident.kind == "journal-damaged"), "{:?}", summary.incidents);
    }

    #[test]
    fn a_folder_without_a_run_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        assert!(matches!(finish(std::slice::from_ref(&folder)), Err(ReportError::Journal(_))));
        fs::write(dir.path().join("journal.jsonl"), "{}\n").unwrap();
        assert!(matches!(finish(std::slice::from_ref(&folder)), Err(ReportError::NoRun)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let new = RunFolder::new(dir.path().join("new"));
        run(&new);
        assert!(Journal::create(&new, &header()).is_err(), "a journal is never overwritten");
    }

    #[test]
    fn the_series_have_one_row_per_second_and_series() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        run(&folder);
        finish(std::slice::from_ref(&folder)).unwrap();
        let file = File::open(dir.path().join("series.parquet")).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let mut rows = BTreeSet::new();
        let (mut count, mut requests) = (0, 0.0);
        for batch in batches.map(Result::unwrap) {
            let text = |name: &str| -> StringArray { batch.column_by_name(name).unwrap().as_string::<i32>().clone() };
            let seconds: Int64Array = batch.column_by_name("second").unwrap().as_primitive::<Int64Type>().clone();
            let values: &Float64Array = batch.column_by_name("value").unwrap().as_primitive();
            let p95: &Float64Array = batch.column_by_name("p95").unwrap().as_primitive();
            let [metric, operation, tags] = ["metric", "operation", "tags"].map(text);
            for at in 0..batch.num_rows() {
                count += 1;
                let name = operation.is_valid(at).then(|| operation.value(at));
                rows.insert(format!("{} {} {name:?} {}", seconds.value(at), metric.value(at), tags.value(at)));
                if metric.value(at) == "http_reqs" {
                    requests += values.value(at);
                }
                assert_eq!(p95.is_valid(at), metric.value(at) == "http_req_duration");
            }
        }
        assert_eq!((rows.len(), requests), (count, 200.0));
        // Ten series each second, and nine seconds of the collector's.
        assert_eq!(count, 10 * 10 + 9, "{rows:?}");
        assert!(rows.contains("3 http_reqs Some(\"get\") {\"status\":\"503\"}"), "{rows:?}");
        assert!(rows.contains("0 kfp_queue_depth None {\"queue\":\"pods\"}"), "{rows:?}");
    }
}
