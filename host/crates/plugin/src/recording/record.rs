//! Rows about single things, gathered on a worker until the host takes them.

use std::sync::Arc;

use kperf_metrics::{Cell, Record};
use parking_lot::Mutex;

/// Bytes of rows that wait at most; further rows are dropped until the host has taken these.
const LARGEST: usize = 16 << 20;

/// Rows on their way from a thread's plugins to the host. Cheap to clone. Only that thread locks it.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<Record>,
    bytes: usize,
}

impl Records {
    /// Takes what has been gathered.
    #[must_use]
    pub fn take(&self) -> Vec<Record> {
        let mut waiting = self.0.lock();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.rows)
    }

    /// Adds a row; false if there is no room for it.
    pub(crate) fn push(&self, record: Record) -> bool {
        let text = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        let size = size_of::<Record>() + record.cells.iter().map(|cell| size_of::<Cell>() + text(cell)).sum::<usize>();
        let mut waiting = self.0.lock();
        let fits = waiting.bytes + size <= LARGEST;
        if fits {
            waiting.bytes += size;
            waiting.rows.push(record);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_nobody_takes_do_not_pile_up() {
        let records = Records::default();
        let row = || Record { table: 0, cells: [Cell::Text("x".repeat(1 << 20).into())].into() };
        let pushed = (0..100).filter(|_| records.push(row())).count();
        assert_eq!(pushed, 15);
        assert_eq!(records.take().len(), 15);
        assert!(records.push(row()));
    }
}
