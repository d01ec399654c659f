//! Every file of a run, by its path. Who reads or writes something in a run's folder asks here where it is.

use std::path::{Path, PathBuf};

/// The folder of a run, or of a matrix with the folders of its cells in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder for a new run, or takes one that has none of a run's files: what is there is somebody's.
    ///
    /// # Errors
    /// [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) with the name of a file that the run would overwrite; otherwise when the
    /// folder can't be made.
    pub fn claim(&self) -> std::io::Result<()> {
        let files = [
            self.run_info(),
            self.suite(),
            self.journal(),
            self.record_rows(),
            self.ledger(),
            self.outbox(),
            self.summary(),
            self.series(),
            self.histograms(),
            self.cells_journal(),
            self.cells_table(),
        ];
        let folders = ["artifacts", "records", "doubles", "cells"].map(|name| self.path.join(name));
        for taken in files.iter().chain(&folders) {
            if taken.symlink_metadata().is_ok() {
                let name = taken.file_name().unwrap_or_default().to_string_lossy();
                let message = format!("`{name}` is there already, and a run overwrites nothing: choose a new folder");
                return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, message));
            }
        }
        std::fs::create_dir_all(&self.path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run.json`: which run this is.
    #[must_use]
    pub fn run_info(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// `suite.toml`: the suite as it was read, without secrets.
    #[must_use]
    pub fn suite(&self) -> PathBuf {
        self.path.join("suite.toml")
    }

    /// `journal.jsonl`: the events of the run.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// `records.jsonl`: rows of records, as they were appended.
    #[must_use]
    pub fn record_rows(&self) -> PathBuf {
        self.path.join("records.jsonl")
    }

    /// `ledger.jsonl`: what the run has created on its targets.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// `outbox.jsonl`: the messages of reporters.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.path.join("outbox.jsonl")
    }

    /// `summary.json`: the result.
    #[must_use]
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `series.parquet`: a row per second and series.
    #[must_use]
    pub fn series(&self) -> PathBuf {
        self.path.join("series.parquet")
    }

    /// `histograms.hlog`: every distribution of every second.
    #[must_use]
    pub fn histograms(&self) -> PathBuf {
        self.path.join("histograms.hlog")
    }

    /// A file of records by its name in the summary: `records/<plugin>/<table>.parquet`.
    #[must_use]
    pub fn records(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// `trace.json`: waterfalls, where nobody names another file.
    #[must_use]
    pub fn trace(&self) -> PathBuf {
        self.path.join("trace.json")
    }

    /// `artifacts/<name>/`: what a plugin leaves.
    #[must_use]
    pub fn artifacts(&self, name: &str) -> PathBuf {
        self.path.join("artifacts").join(name)
    }

    /// The files that plugins have left, each with the name of its plugin's use, in the order of their paths.
    #[must_use]
    pub fn written_artifacts(&self) -> Vec<(String, PathBuf)> {
        let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folders = entries(&self.path.join("artifacts"));
        let mut files: Vec<_> =
            folders.flat_map(|folder| entries(&folder).map(move |it| (name(&folder), it))).collect();
        files.sort();
        files
    }

    /// `doubles/<service>.jsonl`: what a double was told.
    #[must_use]
    pub fn double(&self, service: &str) -> PathBuf {
        self.path.join("doubles").join(format!("{service}.jsonl"))
    }

    /// `<name>.log`: what a command said.
    #[must_use]
    pub fn command_log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// `cells.jsonl`: how the cells of a matrix stand.
    #[must_use]
    pub fn cells_journal(&self) -> PathBuf {
        self.path.join("cells.jsonl")
    }

    /// `cells.csv`: a row per cell, scenario and operation.
    #[must_use]
    pub fn cells_table(&self) -> PathBuf {
        self.path.join("cells.csv")
    }

    /// `cells/`: the folders of a matrix's cells.
    #[must_use]
    pub fn cells(&self) -> PathBuf {
        self.path.join("cells")
    }

    /// `cells/<name>/`: the folder of a cell.
    #[must_use]
    pub fn cell(&self, name: &str) -> Self {
        Self::new(self.cells().join(name))
    }

    /// Whether it is the folder of a matrix that is gone through cell by cell.
    #[must_use]
    pub fn is_matrix(&self) -> bool {
        self.cells_journal().is_file()
    }
}
