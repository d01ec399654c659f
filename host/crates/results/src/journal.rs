//! `journal.jsonl`: the recorded stream of a run's events, one JSON object a line, appended while it goes on.
//!
//! A line is handed to the operating system whole and at once. That is enough against `kill -9`, which is what happens
//! to generators; a machine that loses power may lose the last seconds. The first line is the [`RunHeader`] with the schema of the
//! lines; a journal without an [`End`] belongs to a run that goes on or was killed.
//!
//! A series has a line before the first interval with its samples. Rows of records have a file of their own, `records.jsonl`.
//! What follows from other events (progress), or from the results (the verdict), is not recorded.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};

use kperf_metrics::{
    DeliveryChange, Fact, Incident, Interval, IntervalRecord, MetricDef, PreflightCheck, Registry, SeriesId, Tags,
    ThresholdChange,
};
use rustc_hash::FxHashMap;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::{
    CapacityChange, CommandChange, End, LoadTarget, Merged, Phase, Removed, RunEvent, RunFolder, RunHeader,
    ScenarioChange,
};

/// A series that appears for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SeriesLine {
    /// The number that intervals use for it.
    id: u32,
    metric: MetricDef,
    tags: Tags,
}

/// A removal that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RemovalLine {
    scenario: String,
    #[serde(flatten)]
    removed: Removed,
    took_ns: u64,
}

/// A line. [`Line::of`] and [`JournalReader::event`] say which event it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Run(Box<RunHeader>),
    Preflight {
        scenario: String,
        #[serde(flatten)]
        check: PreflightCheck,
    },
    Setup {
        scenario: String,
        took_ns: u64,
    },
    Load {
        unix_ns: u64,
    },
    Series(SeriesLine),
    Interval(IntervalRecord),
    Scenario(ScenarioChange),
    Threshold(ThresholdChange),
    Capacity(Box<CapacityChange>),
    Change {
        scenario: String,
        target: LoadTarget,
    },
    Incident(Incident),
    Failed {
        phase: Phase,
        incident: Incident,
    },
    Fact(Fact),
    Delivery(DeliveryChange),
    Interrupted {
        phase: Phase,
    },
    Removal(RemovalLine),
    Command(CommandChange),
    End(End),
}

/// The names of all lines, to tell a line of a later version from a damaged one.
const LINES: [&str; 18] = [
    "run",
    "preflight",
    "setup",
    "load",
    "series",
    "interval",
    "scenario",
    "threshold",
    "capacity",
    "change",
    "incident",
    "failed",
    "fact",
    "delivery",
    "interrupted",
    "removal",
    "command",
    "end",
];

impl Line {
    /// The line of an event; none for one that is not recorded, or that has lines of its own making.
    fn of(event: &RunEvent) -> Option<Self> {
        let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Some(match event {
            RunEvent::Prepared(header) => Self::Run(header.clone()),
            RunEvent::Preflight { scenario, check } => {
                Self::Preflight { scenario: scenario.clone(), check: check.clone() }
            }
            RunEvent::SetUp { scenario, took } => {
                Self::Setup { scenario: scenario.clone(), took_ns: nanoseconds(*took) }
            }
            RunEvent::LoadStarted { unix_ns } => Self::Load { unix_ns: *unix_ns },
            RunEvent::Merged(Merged { interval, .. }) => Self::Interval(IntervalRecord::of(interval)),
            RunEvent::Scenario(change) => Self::Scenario(change.clone()),
            RunEvent::Threshold(change) => Self::Threshold(change.clone()),
            RunEvent::Capacity(change) => Self::Capacity(change.clone()),
            RunEvent::LoadChanged { scenario, target } => Self::Change { scenario: scenario.clone(), target: *target },
            RunEvent::Incident(incident) => Self::Incident(incident.clone()),
            RunEvent::PhaseFailed { phase, incident } => Self::Failed { phase: *phase, incident: incident.clone() },
            RunEvent::Fact(fact) => Self::Fact(fact.clone()),
            RunEvent::Delivery(change) => Self::Delivery(change.clone()),
            RunEvent::Interrupted { phase } => Self::Interrupted { phase: *phase },
            RunEvent::Removal(crate::RemovalProgress::Ended { scenario, removed, took }) => {
                Self::Removal(RemovalLine {
                    scenario: scenario.clone(),
                    removed: removed.clone(),
                    took_ns: nanoseconds(*took),
                })
            }
            RunEvent::Command(change) => Self::Command(change.clone()),
            RunEvent::Ended(end) => Self::End(*end),
            RunEvent::Progress(_)
            | RunEvent::Records(_)
            | RunEvent::Removal(_)
            | RunEvent::ArtifactWritten { .. }
            | RunEvent::SinkFailed { .. }
            | RunEvent::MatrixPlanned { .. }
            | RunEvent::CellBegan { .. }
            | RunEvent::CellAgain { .. }
            | RunEvent::CellPause(_)
            | RunEvent::CellEnded { .. }
            | RunEvent::Verdict { .. } => return None,
        })
    }
}

/// The journal of a run that goes on. It takes every event of the run.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// Rows go to a file of their own; none if no plugin has a table.
    records: Option<File>,
    /// How many series the journal knows already.
    series: usize,
    line: Vec<u8>,
}

impl Journal {
    /// Makes the run's folder, `run.json` and an empty journal in it.
    ///
    /// # Errors
    /// When the folder can't be written, or holds a journal already.
    pub fn create(folder: &RunFolder, header: &RunHeader) -> io::Result<Self> {
        fs::create_dir_all(folder.path())?;
        let new = |path| OpenOptions::new().append(true).create_new(true).open(path);
        let file = new(folder.journal())?;
        let records = if header.tables.is_empty() { None } else { Some(new(folder.record_rows())?) };
        header.run.write(folder)?;
        Ok(Self { file, records, series: 0, line: Vec::new() })
    }

    /// Appends an event; the end of the run is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn write(&mut self, event: &RunEvent) -> io::Result<()> {
        self.line.clear();
        if let RunEvent::Records(rows) = event {
            let Some(file) = &mut self.records else { return Ok(()) };
            for row in rows {
                push(&mut self.line, row)?;
            }
            return file.write_all(&self.line);
        }
        // All lines of an event go out in one write.
        if let RunEvent::Merged(Merged { registry, .. }) = event {
            for info in registry.snapshot(self.series) {
                let (id, metric, tags) = (info.id.number(), (*info.metric).clone(), info.tags.clone());
                push(&mut self.line, &Line::Series(SeriesLine { id, metric, tags }))?;
                self.series += 1;
            }
        }
        let Some(line) = Line::of(event) else { return Ok(()) };
        push(&mut self.line, &line)?;
        self.file.write_all(&self.line)?;
        if matches!(event, RunEvent::Ended(_)) { self.file.sync_data() } else { Ok(()) }
    }
}

fn push(line: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    Ok(())
}

/// What a run's journal begins with; none if it is no journal.
///
/// # Errors
/// When the folder has no journal that can be read.
pub fn header(folder: &RunFolder) -> io::Result<Option<RunHeader>> {
    Ok(match JournalReader::open(folder, Registry::new(usize::MAX))?.next()? {
        Some(RunEvent::Prepared(header)) => Some(*header),
        _ => None,
    })
}

/// Reads a journal event by event.
#[derive(Debug)]
pub struct JournalReader {
    file: BufReader<File>,
    line: Vec<u8>,
    registry: Registry,
    /// The journal's number of a series, and the one it has in `registry`.
    known: FxHashMap<u32, SeriesId>,
    damaged: u64,
    unknown: BTreeMap<String, u64>,
}

impl JournalReader {
    /// Opens a run's journal; its series are registered in `registry`.
    ///
    /// # Errors
    /// When there is none that can be read.
    pub fn open(folder: &RunFolder, registry: Registry) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(folder.journal())?),
            line: Vec::new(),
            registry,
            known: FxHashMap::default(),
            damaged: 0,
            unknown: BTreeMap::new(),
        })
    }

    /// The next event; none at the end. What can't be read is counted and left out.
    ///
    /// # Errors
    /// When the file can't be read any more.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would hide the counts below")]
    pub fn next(&mut self) -> io::Result<Option<RunEvent>> {
        loop {
            self.line.clear();
            if self.file.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            match serde_json::from_slice(&self.line) {
                Ok(line) => match self.event(line) {
                    Ok(Some(event)) => return Ok(Some(event)),
                    Ok(None) => {}
                    Err(Unusable) => self.damaged += 1,
                },
                Err(_) => match unknown(&self.line) {
                    Some(name) => *self.unknown.entry(name).or_default() += 1,
                    // Only the last line has no end; that of a killed run may be torn.
                    None => self.damaged += u64::from(self.line.ends_with(b"\n")),
                },
            }
        }
    }

    /// Lines so far that could not be read. A torn last line is none of them.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Lines so far of events that this version does not know, by name.
    #[must_use]
    pub fn unknown(&self) -> &BTreeMap<String, u64> {
        &self.unknown
    }

    /// The event of a line; none for a line that only prepares for others.
    fn event(&mut self, line: Line) -> Result<Option<RunEvent>, Unusable> {
        let time = std::time::Duration::from_nanos;
        Ok(Some(match line {
            Line::Run(header) => RunEvent::Prepared(header),
            Line::Preflight { scenario, check } => RunEvent::Preflight { scenario, check },
            Line::Setup { scenario, took_ns } => RunEvent::SetUp { scenario, took: time(took_ns) },
            Line::Load { unix_ns } => RunEvent::LoadStarted { unix_ns },
            Line::Series(series) => {
                self.register(series)?;
                return Ok(None);
            }
            Line::Interval(record) => {
                let interval = self.restore(record)?;
                RunEvent::Merged(Merged { registry: self.registry.clone(), interval })
            }
            Line::Scenario(change) => RunEvent::Scenario(change),
            Line::Threshold(change) => RunEvent::Threshold(change),
            Line::Capacity(change) => RunEvent::Capacity(change),
            Line::Change { scenario, target } => RunEvent::LoadChanged { scenario, target },
            Line::Incident(incident) => RunEvent::Incident(incident),
            Line::Failed { phase, incident } => RunEvent::PhaseFailed { phase, incident },
            Line::Fact(fact) => RunEvent::Fact(fact),
            Line::Delivery(change) => RunEvent::Delivery(change),
            Line::Interrupted { phase } => RunEvent::Interrupted { phase },
            Line::Removal(RemovalLine { scenario, removed, took_ns }) => {
                RunEvent::Removal(crate::RemovalProgress::Ended { scenario, removed, took: time(took_ns) })
            }
            Line::Command(change) => RunEvent::Command(change),
            Line::End(end) => RunEvent::Ended(end),
        }))
    }

    fn register(&mut self, SeriesLine { id, metric, tags }: SeriesLine) -> Result<(), Unusable> {
        let metric = self.registry.metric(&metric).map_err(|_| Unusable)?;
        let here = self.registry.series(metric, tags).map_err(|_| Unusable)?;
        self.known.insert(id, here);
        Ok(())
    }

    /// The interval with this registry's ids.
    fn restore(&self, record: IntervalRecord) -> Result<Interval, Unusable> {
        let mut interval = record.restore().map_err(|_| Unusable)?;
        let here = |id: SeriesId| self.known.get(&id.number()).copied().ok_or(Unusable);
        for (id, _) in &mut interval.deltas {
            *id = here(*id)?;
        }
        for dated in &mut interval.dated {
            dated.series = here(dated.series)?;
        }
        interval.deltas.sort_by_key(|(id, _)| *id);
        Ok(interval)
    }
}

/// A line that is one, and says nothing that can be used.
struct Unusable;

/// The name of a line's event if it is whole and only this version does not know it.
fn unknown(line: &[u8]) -> Option<String> {
    let object: BTreeMap<String, IgnoredAny> = serde_json::from_slice(line).ok()?;
    let (name, _) = object.into_iter().next()?;
    (!LINES.contains(&name.as_str())).then_some(name)
}
