//! `cells.jsonl`: which cells a matrix has and how each of them stands, one JSON object a line.
//!
//! A line is on the disk before what it announces begins: what is known after a crash is what has happened. The first line is
//! the [`MatrixHeader`]; a cell that started and has no later line was cut off. A lock on the file tells that somebody works
//! on the matrix.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};

use serde::{Deserialize, Serialize};

use super::cell::{AxisInfo, CellInfo, CellState};
use crate::{RunFolder, RunInfo, ScenarioInfo};

/// What is known before the first cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixHeader {
    /// The run as a whole.
    pub run: RunInfo,
    /// The axes in the order of the suite.
    pub axes: Vec<AxisInfo>,
    /// How often the matrix is gone through.
    pub repeat: u32,
    /// The scenarios of the first cell.
    pub scenarios: Vec<ScenarioInfo>,
    /// All cells in the order in which they run.
    pub cells: Vec<CellInfo>,
}

/// A cell that changes its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellChange {
    /// The cell's number.
    pub cell: u32,
    /// How it stands now.
    pub state: CellState,
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// What the cell alone would have exited with; none before its end.
    pub exit_code: Option<u8>,
    /// Why it failed, or what went wrong beside it.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Matrix(Box<MatrixHeader>),
    Cell(CellChange),
}

/// How far a cell has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CellHistory {
    /// When it began, in nanoseconds since the Unix epoch.
    pub started: Option<u64>,
    /// The last change.
    pub last: Option<CellChange>,
}

impl CellHistory {
    /// How it stands.
    pub fn state(&self) -> CellState {
        self.last.as_ref().map_or(CellState::NotRun, |last| last.state)
    }

    /// From its start to its last change, in nanoseconds.
    pub fn took_ns(&self) -> Option<u64> {
        Some(self.last.as_ref()?.unix_ns.saturating_sub(self.started?))
    }
}

/// What `cells.jsonl` says.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixState {
    /// What is known of the matrix before its first cell.
    pub header: MatrixHeader,
    /// What is known of each cell, by number.
    pub histories: BTreeMap<u32, CellHistory>,
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// It can't be read or written.
    #[error("cells.jsonl: {0}")]
    File(#[from] io::Error),
    /// It is none.
    #[error("cells.jsonl does not begin with a matrix: another version of kperf wrote it, or it is damaged")]
    NoMatrix,
    /// Another process has it.
    #[error("another kperf-host works on this matrix; wait until it has ended")]
    Busy,
}

/// The file of a matrix that is being worked on.
#[derive(Debug)]
pub struct MatrixJournal {
    file: File,
}

impl MatrixJournal {
    /// Makes the folder and the file in it, and keeps others off.
    ///
    /// # Errors
    /// When the folder can't be written, or holds such a file already.
    pub fn create(folder: &RunFolder, header: MatrixHeader) -> Result<Self, MatrixError> {
        std::fs::create_dir_all(folder.cells())?;
        let file = OpenOptions::new().append(true).create_new(true).open(folder.cells_journal())?;
        header.run.write(folder)?;
        let mut log = Self::locked(file)?;
        log.append(&Line::Matrix(Box::new(header)))?;
        Ok(log)
    }

    /// Opens the file to go on, and keeps others off.
    ///
    /// # Errors
    /// When there is none that can be read, or another process has it.
    pub fn open(folder: &RunFolder) -> Result<(Self, MatrixState), MatrixError> {
        let mut log = Self::locked(OpenOptions::new().append(true).open(folder.cells_journal())?)?;
        let torn = !std::fs::read(folder.cells_journal())?.ends_with(b"\n");
        if torn {
            // The next line is one of its own.
            log.file.write_all(b"\n")?;
        }
        Ok((log, matrix_state(folder)?))
    }

    fn locked(file: File) -> Result<Self, MatrixError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(MatrixError::Busy),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Appends a change; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn change(&mut self, change: CellChange) -> Result<(), MatrixError> {
        self.append(&Line::Cell(change))
    }

    fn append(&mut self, entry: &Line) -> Result<(), MatrixError> {
        let mut line = serde_json::to_vec(entry).map_err(io::Error::from)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        Ok(self.file.sync_data()?)
    }
}

/// Reads what is known of a matrix. Lines that can't be read, as the last one of a killed process, are left out.
///
/// # Errors
/// When there is no such file, or it is of something else.
pub fn matrix_state(folder: &RunFolder) -> Result<MatrixState, MatrixError> {
    let mut header = None;
    let mut histories = BTreeMap::<u32, CellHistory>::new();
    for line in BufReader::new(File::open(folder.cells_journal())?).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(Line::Matrix(matrix)) => header = header.or(Some(*matrix)),
            Ok(Line::Cell(change)) => {
                let history = histories.entry(change.cell).or_default();
                if change.state == CellState::Started {
                    history.started = Some(change.unix_ns);
                }
                history.last = Some(change);
            }
            Err(_) => {}
        }
    }
    Ok(MatrixState { header: header.ok_or(MatrixError::NoMatrix)?, histories })
}
