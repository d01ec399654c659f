//! What a shard hands over once a second, and what many of them add up to.

use crate::{Delta, SeriesId};

/// A sample that belongs to an instant of its own, as collectors bring them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dated {
    /// The series that the value belongs to.
    pub series: SeriesId,
    /// When the value was true, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// The value in the metric's unit; for a rate, 0 is false and anything else is true.
    pub value: f64,
}

/// What was measured between two instants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interval {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ends, in nanoseconds since the Unix epoch.
    pub end: u64,
    /// The touched series, in the order of their ids.
    pub deltas: Vec<(SeriesId, Delta)>,
    /// Samples with an instant of their own. They are not in `deltas`; [`crate::Totals`] counts both.
    pub dated: Vec<Dated>,
    /// Samples that were refused because their value is not possible: negative, not a number, of another kind.
    pub rejected: u64,
    /// Samples that were dropped because of a limit.
    pub dropped: u64,
}

impl Interval {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty() && self.dated.is_empty() && self.rejected == 0 && self.dropped == 0
    }

    /// The touched series and what they gathered, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesId, &Delta)> {
        self.deltas.iter().map(|(id, delta)| (*id, delta))
    }

    /// What a series gathered, if it was touched.
    pub fn get(&self, id: SeriesId) -> Option<&Delta> {
        let at = self.deltas.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.deltas.get(at).map(|(_, delta)| delta)
    }

    /// Joins another interval into this one: the window becomes the one that covers both.
    pub fn merge(&mut self, other: Interval) {
        if self.is_empty() && self.end == 0 {
            *self = other;
            return;
        }
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.dated.extend(other.dated);
        let mine = std::mem::take(&mut self.deltas);
        self.deltas.reserve(mine.len().max(other.deltas.len()));
        let (mut mine, mut theirs) = (mine.into_iter().peekable(), other.deltas.into_iter().peekable());
        loop {
            let next = match (mine.peek(), theirs.peek()) {
                (Some((a, _)), Some((b, _))) if a == b => {
                    let (Some((id, mut delta)), Some((_, from))) = (mine.next(), theirs.next()) else { break };
                    delta.merge(&from);
                    Some((id, delta))
                }
                (Some((a, _)), Some((b, _))) if a > b => theirs.next(),
                (None, _) => theirs.next(),
                _ => mine.next(),
            };
            let Some(next) = next else { break };
            self.deltas.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: u64, counts: &[(u32, f64)]) -> Interval {
        let deltas = counts.iter().map(|(id, n)| (SeriesId::from_index(*id), Delta::Counter(*n))).collect();
        Interval { start, end: start + 1, deltas, ..Interval::default() }
    }

    #[test]
    fn merging_adds_what_both_have_and_keeps_what_one_has() {
        let mut merged = Interval::default();
        merged.merge(interval(5, &[(1, 1.0), (4, 2.0)]));
        merged.merge(interval(3, &[(0, 8.0), (1, 10.0), (9, 4.0)]));
        let want = interval(3, &[(0, 8.0), (1, 11.0), (4, 2.0), (9, 4.0)]);
        assert_eq!(merged.deltas, want.deltas);
        assert_eq!((merged.start, merged.end), (3, 6));
        assert_eq!(merged.get(SeriesId::from_index(4)), Some(&Delta::Counter(2.0)));
        assert_eq!(merged.get(SeriesId::from_index(5)), None);
    }
}
