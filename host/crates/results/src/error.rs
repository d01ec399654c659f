//! Why results could not be made.

use std::io;

use parquet::errors::ParquetError;

use crate::histograms::LogError;

/// The results could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder has no journal that can be read.
    #[error("can't read journal.jsonl: {0}; give the folder of a run, the one with run.json in it")]
    Journal(#[source] io::Error),
    /// The journal does not begin as one.
    #[error("journal.jsonl does not begin with a run: it is no journal, or another version of kperf wrote it")]
    NoRun,
    /// A result could not be written.
    #[error("can't write the results: {0}; check the folder's permissions and the space on its disk")]
    Write(#[from] io::Error),
    /// The series could not be written.
    #[error("can't write series.parquet: {0}")]
    Series(#[from] ParquetError),
    /// The records could not be written.
    #[error("can't write the files in records/: {0}")]
    Records(#[source] ParquetError),
    /// The histograms could not be written.
    #[error("can't write histograms.hlog: {0}")]
    Histograms(#[source] LogError),
}
