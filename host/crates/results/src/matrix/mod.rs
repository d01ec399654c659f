//! A matrix that is gone through cell by cell: a folder with those of its cells in it.
//!
//! In comes how each cell stands ([`MatrixJournal`]); out come the results of all cells together ([`finish_matrix`]). What a cell
//! measured is in its own folder, which is that of any run.

mod finish;
mod journal;
mod table;

pub use finish::{CellSummary, CellsSummary, ComponentUse, Usage, finish_matrix};
pub use journal::{
    AxisInfo, CellChange, CellHistory, CellInfo, CellState, MatrixError, MatrixHeader, MatrixJournal, MatrixState,
    matrix_state,
};
