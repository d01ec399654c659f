//! A matrix that is gone through cell by cell: a folder with those of its cells in it.
//!
//! In comes how each cell stands ([`MatrixJournal`]); out come the results of all cells together ([`finish_matrix`]). What a cell
//! measured is in its own folder, which is that of any run.

mod cell;
mod finish;
mod journal;
mod summary;
mod table;

pub use cell::{AxisInfo, CellInfo, CellState};
pub use finish::finish_matrix;
pub use journal::{CellChange, CellHistory, MatrixError, MatrixHeader, MatrixJournal, MatrixState, matrix_state};
pub use summary::{CellSummary, CellsSummary, ComponentUse, Usage};
