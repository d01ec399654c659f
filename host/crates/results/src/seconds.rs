//! Seconds of the run, put together from what the workers handed over.
//!
//! Workers hand over at instants of their own, collectors bring samples from the past. Both are sorted into whole
//! seconds since the run's start; a few seconds are kept open for stragglers, so memory does not grow with the run.

use std::collections::BTreeMap;

use kperf_metrics::{Delta, Interval, Registry, SeriesId};

/// How many seconds stay open. Hand-overs of one second differ by less than one; the rest is reserve.
const OPEN: i64 = 3;

/// What every touched series gathered in one second.
pub type Second = BTreeMap<SeriesId, Delta>;

/// Seconds that are still open.
#[derive(Debug)]
pub struct Seconds {
    start: u64,
    open: BTreeMap<i64, Second>,
    newest: i64,
}

impl Seconds {
    /// No second yet; they are counted from `start`, in nanoseconds since the Unix epoch.
    pub fn new(start: u64) -> Self {
        Self { start, open: BTreeMap::new(), newest: i64::MIN }
    }

    /// Sorts an interval in and hands every second that is complete to `emit`, oldest first. A sample of a second that
    /// has been handed over already is handed over at once, as a second of its own.
    pub fn add<E>(
        &mut self,
        interval: Interval,
        registry: &Registry,
        mut emit: impl FnMut(i64, &Second) -> Result<(), E>,
    ) -> Result<(), E> {
        // Hand-overs are a little late: the middle tells which second it is.
        let second = self.second(interval.start + interval.end.saturating_sub(interval.start) / 2);
        self.newest = self.newest.max(second);
        let mut closed: BTreeMap<i64, Second> = BTreeMap::new();
        for (id, delta) in interval.deltas {
            join(&mut self.open, second, id, delta);
        }
        for dated in &interval.dated {
            let info = registry.info(dated.series);
            let Some(delta) = info.and_then(|info| dated.delta(info.metric.kind, info.metric.unit)) else { continue };
            let second = self.second(dated.unix_ns);
            let open = second > self.newest - OPEN && second <= self.newest;
            join(if open { &mut self.open } else { &mut closed }, second, dated.series, delta);
        }
        closed.iter().try_for_each(|(second, series)| emit(*second, series))?;
        self.close(self.newest - OPEN, emit)
    }

    /// Hands over what is left.
    pub fn finish<E>(&mut self, emit: impl FnMut(i64, &Second) -> Result<(), E>) -> Result<(), E> {
        self.close(i64::MAX, emit)
    }

    fn close<E>(&mut self, until: i64, mut emit: impl FnMut(i64, &Second) -> Result<(), E>) -> Result<(), E> {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() <= until) {
            let (second, series) = entry.remove_entry();
            emit(second, &series)?;
        }
        Ok(())
    }

    fn second(&self, unix_ns: u64) -> i64 {
        (i128::from(unix_ns) - i128::from(self.start)).div_euclid(1_000_000_000).try_into().unwrap_or(i64::MAX)
    }
}

fn join(seconds: &mut BTreeMap<i64, Second>, second: i64, id: SeriesId, delta: Delta) {
    let series = seconds.entry(second).or_default();
    match series.get_mut(&id) {
        Some(known) => known.merge(&delta),
        None => {
            series.insert(id, delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use kperf_metrics::{Builtin, Shard, Tags};

    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn hand_overs_of_one_second_become_one_and_stragglers_find_theirs() {
        let registry = Registry::default();
        let id = registry.series(Builtin::HttpReqs.into(), Tags::default()).unwrap();
        let mut seconds = Seconds::new(100 * S);
        let mut seen: Vec<(i64, f64)> = Vec::new();
        let mut emit = |second, series: &Second| {
            let Some(Delta::Counter(sum)) = series.get(&id) else { panic!("no counter") };
            seen.push((second, *sum));
            Ok::<_, Infallible>(())
        };
        // Two workers, one 40 ms behind the other, and a collector's samples of now and of long ago.
        for second in 0..6_u64 {
            for late in [0, 40_000_000] {
                let mut shard = Shard::new(registry.clone(), (100 + second) * S + late);
                shard.count(id, 1.0);
                if second == 5 && late == 0 {
                    shard.record_at(id, 100.0, 104 * S);
                    shard.record_at(id, 1000.0, 98 * S + 1);
                }
                let interval = shard.take((101 + second) * S + late);
                seconds.add(interval, &registry, &mut emit).unwrap();
            }
        }
        seconds.finish(&mut emit).unwrap();
        let (own, rest): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(second, _)| *second < 0);
        assert_eq!(own, [(-2, 1000.0)]);
        assert_eq!(rest, [(0, 2.0), (1, 2.0), (2, 2.0), (3, 2.0), (4, 102.0), (5, 2.0)]);
    }
}
