//! The text form of an interval, for the journal and for shards on other machines. It restores exactly.

use serde::{Deserialize, Serialize};

use crate::{Dated, Delta, Gauge, HistogramRecord, Interval, Rate, SeriesId};

/// An interval could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the histogram of series {series} can't be decoded: the record was damaged or written by another version")]
pub struct RecordError {
    /// The number of the series.
    pub series: u32,
}

/// The text form of a [`Delta`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeltaRecord {
    /// The sum of the increments.
    Counter(f64),
    /// Last value, its instant (ns since the Unix epoch), min, max, count, sum.
    Gauge(f64, u64, f64, f64, u64, f64),
    /// How many samples were true, and how many there were.
    Rate(u64, u64),
    /// A distribution's histogram.
    Distribution(HistogramRecord),
}

/// The text form of an [`Interval`]. Series are written as the numbers of their ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalRecord {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ends, in nanoseconds since the Unix epoch.
    pub end: u64,
    /// The touched series.
    pub deltas: Vec<(u32, DeltaRecord)>,
    /// Samples with an instant of their own: series, nanoseconds since the Unix epoch, value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dated: Vec<(u32, u64, f64)>,
    /// Samples that were refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Samples that were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl IntervalRecord {
    /// The text form of an interval.
    pub fn of(interval: &Interval) -> Self {
        let deltas = interval.iter().filter_map(|(id, delta)| {
            let record = match delta {
                Delta::Counter(sum) => DeltaRecord::Counter(*sum),
                Delta::Gauge(g) => DeltaRecord::Gauge(g.last, g.at, g.min, g.max, g.count, g.sum),
                Delta::Rate(rate) => DeltaRecord::Rate(rate.trues, rate.total),
                Delta::Distribution(histogram) => DeltaRecord::Distribution(HistogramRecord::of(histogram)?),
            };
            Some((id.number(), record))
        });
        let dated = interval.dated.iter().map(|dated| (dated.series.number(), dated.unix_ns, dated.value));
        Self {
            start: interval.start,
            end: interval.end,
            deltas: deltas.collect(),
            dated: dated.collect(),
            rejected: interval.rejected,
            dropped: interval.dropped,
        }
    }

    /// The interval again.
    ///
    /// # Errors
    /// When a histogram can't be decoded.
    pub fn restore(self) -> Result<Interval, RecordError> {
        let deltas = self.deltas.into_iter().map(|(series, record)| {
            let delta = match record {
                DeltaRecord::Counter(sum) => Delta::Counter(sum),
                DeltaRecord::Gauge(last, at, min, max, count, sum) => {
                    Delta::Gauge(Gauge { last, at, min, max, count, sum })
                }
                DeltaRecord::Rate(trues, total) => Delta::Rate(Rate { trues, total }),
                DeltaRecord::Distribution(record) => {
                    Delta::Distribution(Box::new(record.restore().ok_or(RecordError { series })?))
                }
            };
            Ok((SeriesId::from_index(series), delta))
        });
        let dated = self.dated.into_iter().map(|(series, unix_ns, value)| Dated {
            series: SeriesId::from_index(series),
            unix_ns,
            value,
        });
        Ok(Interval {
            start: self.start,
            end: self.end,
            deltas: deltas.collect::<Result<_, _>>()?,
            dated: dated.collect(),
            rejected: self.rejected,
            dropped: self.dropped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builtin, Registry, Shard, Tags};

    fn interval() -> Interval {
        let registry = Registry::default();
        let id = |builtin: Builtin| registry.series(builtin.into(), Tags::default()).unwrap();
        let mut shard = Shard::new(registry.clone(), 1_700_000_000_123_456_789);
        shard.count(id(Builtin::GuestCpu), 0.1 + 0.2);
        shard.rate(id(Builtin::Checks), true);
        shard.gauge(id(Builtin::Vus), 1.0 / 3.0);
        for ns in [0, 1, 999, 1_000_000, 12_345_678_901, u64::MAX] {
            shard.record_ns(id(Builtin::HttpReqDuration), ns);
        }
        shard.record_at(id(Builtin::HttpConnsOpen), 0.1, 1_700_000_000_000_000_001);
        shard.drop_samples(3);
        shard.count(id(Builtin::GuestCpu), -1.0);
        shard.take(1_700_000_001_123_456_789)
    }

    #[test]
    fn an_interval_survives_json_exactly() {
        let interval = interval();
        let text = serde_json::to_string(&IntervalRecord::of(&interval)).unwrap();
        let record: IntervalRecord = serde_json::from_str(&text).unwrap();
        let mut restored = record.restore().unwrap();
        assert_eq!(restored, interval);
        // It still grows like a live one.
        restored.merge(interval.clone());
        assert_ne!(restored, interval);
    }

    #[test]
    fn damage_is_noticed() {
        let text = serde_json::to_string(&IntervalRecord::of(&interval())).unwrap();
        let record: IntervalRecord = serde_json::from_str(&text.replace("HIST", "AAAA")).unwrap();
        assert_eq!(record.restore().map_err(|e| e.series), Err(3));
    }
}
