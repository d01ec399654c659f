//! `journal.jsonl`: everything that is known about a run, one JSON object a line, appended while it goes on.
//!
//! A line is handed to the operating system whole and at once. That is enough against `kill -9`, which is what happens
//! to generators; a machine that loses power may lose the last seconds. The first line is the [`Opening`]; a journal
//! without an [`End`] belongs to a run that goes on or was killed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
};

use kperf_metrics::{Fact, Incident, Interval, IntervalRecord, MetricDef, Registry, Tags, ThresholdChange};
use serde::{Deserialize, Serialize};

use super::{CapacityStanding, CapacityStep, RunInfo, TableInfo, records};

/// The journal's name in the run's folder.
const FILE: &str = "journal.jsonl";

/// What is known before load starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The run.
    pub run: RunInfo,
    /// Its scenarios.
    pub scenarios: Vec<ScenarioInfo>,
    /// Thresholds of the whole suite, as they stand in it.
    pub thresholds: Vec<String>,
    /// The tables of records; rows name theirs by its place here.
    #[serde(default)]
    pub tables: Vec<TableInfo>,
    /// How much breaches matter, where that is not the usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<SeverityInfo>,
}

/// How much the breach of a threshold matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityInfo {
    /// The scenario it belongs to; empty for one of the whole suite.
    pub scenario: String,
    /// The threshold as it stands in the suite.
    pub threshold: String,
    /// `critical`, `error`, `warning` or `info`.
    pub severity: String,
}

/// A scenario before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name; its series are tagged `scenario` with it.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's mode.
    pub mode: String,
    /// How load is made, for people: `constant-arrival-rate 200/s for 1m`.
    pub executor: String,
    /// Whether iterations are due by a schedule (open model) or follow each other (closed).
    pub open_model: bool,
    /// Worker threads.
    pub workers: usize,
    /// Where its requests go: a base URL, or `simulated` for the server inside the host; none without a target.
    #[serde(default)]
    pub target: Option<String>,
    /// The tag whose values the summary puts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
    /// Its thresholds, as they stand in the suite.
    pub thresholds: Vec<String>,
    /// Of a capacity search: what must hold for a step to hold, as it stands in the suite. None for other loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Vec<String>>,
}

/// A scenario that changes its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScenarioChange {
    /// Its first iteration may start.
    Started {
        /// The scenario.
        scenario: String,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
    },
    /// Its last iteration has ended.
    Finished {
        /// The scenario.
        scenario: String,
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
        /// How long load was made, in nanoseconds: what `rate` of a counter is divided by.
        elapsed_ns: u64,
        /// Iterations that were cut off at the end of the graceful stop.
        interrupted: u64,
    },
}

/// A capacity search that has come further.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityChange {
    /// The scenario.
    pub scenario: String,
    /// The step that was judged; none when the search ended without a further one.
    pub step: Option<CapacityStep>,
    /// How the search stands after it.
    pub standing: CapacityStanding,
}

/// The run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// Whether somebody stopped it.
    pub interrupted: bool,
    /// The exit code, where it does not follow from the verdict (a plugin that failed before load).
    pub exit_code: Option<u8>,
}

/// A series that appears for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SeriesEntry {
    /// The number that intervals use for it.
    pub(super) id: u32,
    pub(super) metric: MetricDef,
    pub(super) tags: Tags,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Entry {
    Run(Box<Opening>),
    Series(SeriesEntry),
    Interval(IntervalRecord),
    Scenario(ScenarioChange),
    Threshold(ThresholdChange),
    Capacity(Box<CapacityChange>),
    Incident(Incident),
    Fact(Fact),
    End(End),
}

/// The journal of a run that goes on.
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
    /// Makes the run's folder, `run.json` and the journal in it.
    ///
    /// # Errors
    /// When the folder can't be written, or holds a journal already.
    pub fn create(dir: &Path, opening: Opening) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let new = |name| OpenOptions::new().append(true).create_new(true).open(dir.join(name));
        let file = new(FILE)?;
        let records = if opening.tables.is_empty() { None } else { Some(new(records::FILE)?) };
        opening.run.write(dir)?;
        let mut journal = Self { file, records, series: 0, line: Vec::new() };
        journal.append(&Entry::Run(Box::new(opening)))?;
        Ok(journal)
    }

    /// Appends what was measured, and before it every series that is new since the last call.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn interval(&mut self, registry: &Registry, interval: &Interval) -> io::Result<()> {
        // All lines of a second go out in one write.
        self.line.clear();
        for info in registry.snapshot(self.series) {
            let entry = SeriesEntry { id: info.id.number(), metric: (*info.metric).clone(), tags: info.tags.clone() };
            self.push(&Entry::Series(entry))?;
            self.series += 1;
        }
        self.push(&Entry::Interval(IntervalRecord::of(interval)))?;
        self.file.write_all(&self.line)
    }

    /// Appends rows of records, each an array that begins with its table's number.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn records(&mut self, rows: &[impl Serialize]) -> io::Result<()> {
        let Some(file) = &mut self.records else { return Ok(()) };
        self.line.clear();
        for row in rows {
            serde_json::to_writer(&mut self.line, row)?;
            self.line.push(b'\n');
        }
        file.write_all(&self.line)
    }

    /// Appends a scenario's change of state.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn scenario(&mut self, change: ScenarioChange) -> io::Result<()> {
        self.append(&Entry::Scenario(change))
    }

    /// Appends a threshold's change of state.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn threshold(&mut self, change: ThresholdChange) -> io::Result<()> {
        self.append(&Entry::Threshold(change))
    }

    /// Appends what a capacity search has found.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn capacity(&mut self, change: CapacityChange) -> io::Result<()> {
        self.append(&Entry::Capacity(Box::new(change)))
    }

    /// Appends an incident. Equal ones add up in the summary.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn incident(&mut self, incident: Incident) -> io::Result<()> {
        self.append(&Entry::Incident(incident))
    }

    /// Appends what plugins know about the system under test.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn facts(&mut self, facts: Vec<Fact>) -> io::Result<()> {
        facts.into_iter().try_for_each(|fact| self.append(&Entry::Fact(fact)))
    }

    /// Appends the end. [`super::finish`] makes the results.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn end(mut self, end: End) -> io::Result<()> {
        self.append(&Entry::End(end))?;
        self.file.sync_data()
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        self.push(entry)?;
        self.file.write_all(&self.line)
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.line, entry)?;
        self.line.push(b'\n');
        Ok(())
    }
}

/// What a run's journal begins with; none if it is no journal.
///
/// # Errors
/// When the folder has no journal that can be read.
pub fn opening(dir: &Path) -> io::Result<Option<Opening>> {
    Ok(match Replay::open(dir)?.next()? {
        Some(Entry::Run(opening)) => Some(*opening),
        _ => None,
    })
}

/// Reads a journal line by line.
pub(super) struct Replay {
    file: BufReader<File>,
    line: Vec<u8>,
    /// Lines that could not be read. The last line of a killed run may be torn; that is none of them.
    pub(super) damaged: u64,
}

impl Replay {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(File::open(dir.join(FILE))?), line: Vec::new(), damaged: 0 })
    }

    /// The next entry; none at the end. What can't be read is counted and left out.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            self.line.clear();
            if self.file.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            match serde_json::from_slice(&self.line) {
                Ok(entry) => return Ok(Some(entry)),
                // Only the last line has no end.
                Err(_) => self.damaged += u64::from(self.line.ends_with(b"\n")),
            }
        }
    }
}
