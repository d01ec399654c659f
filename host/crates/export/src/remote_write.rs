//! Prometheus' remote write 1.0: a second of series as a body of snappy-compressed Protobuf.
//!
//! Values are those of [`crate::Page`], each with the timestamp of its second, in milliseconds. Distributions are classic
//! histograms.

use std::collections::{BTreeMap, HashSet};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cumulative::{Cumulative, Value, bounds};
use crate::wire::Message;
use crate::{Common, Touched, names};

/// Fields of `WriteRequest`, `TimeSeries`, `Label`, `Sample` and `MetricMetadata`.
mod field {
    pub(super) const SERIES: u32 = 1;
    pub(super) const METADATA: u32 = 3;
    pub(super) const LABELS: u32 = 1;
    pub(super) const SAMPLES: u32 = 2;
    pub(super) const NAME: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const SAMPLE_VALUE: u32 = 1;
    pub(super) const TIMESTAMP: u32 = 2;
    pub(super) const TYPE: u32 = 1;
    pub(super) const FAMILY: u32 = 2;
    pub(super) const HELP: u32 = 4;
}

/// See the module.
#[derive(Debug)]
pub struct RemoteWrite {
    common: Common,
    all: Cumulative,
    /// Families whose metadata was sent.
    told: HashSet<String>,
    left_out: u64,
}

impl RemoteWrite {
    /// Nothing yet.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self { common, all: Cumulative::default(), told: HashSet::new(), left_out: 0 }
    }

    /// The headers of each request.
    #[must_use]
    pub fn headers() -> HeaderMap {
        [
            (CONTENT_TYPE, "application/x-protobuf"),
            (CONTENT_ENCODING, "snappy"),
            (HeaderName::from_static("x-prometheus-remote-write-version"), "0.1.0"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .into_iter()
        .collect()
    }

    /// Values that came for a second before one that was sent already: a server takes each series' in order only. What they
    /// add to counters and histograms is in the points that follow.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The body for a second that begins at `unix_ns`; none if there is nothing to send.
    pub fn second<'a>(&mut self, unix_ns: u64, touched: impl Iterator<Item = Touched<'a>>) -> Option<Vec<u8>> {
        let (mut request, mut metadata) = (Message::default(), Message::default());
        for (info, delta) in touched {
            let Some(series) = self.all.add(&info, delta) else { continue };
            if series.sent.is_some_and(|sent| sent >= unix_ns) {
                self.left_out += 1;
                continue;
            }
            series.sent = Some(unix_ns);
            let base = names::base(&info.metric);
            let labels = names::labels(&info, &self.common);
            let mut add = |name: String, le: Option<String>, value: f64| {
                let mut sample = Message::default();
                sample.double(field::SAMPLE_VALUE, value).varint(field::TIMESTAMP, unix_ns / 1_000_000);
                let mut series = labelled(&labels, name, le);
                series.message(field::SAMPLES, &sample);
                request.message(field::SERIES, &series);
            };
            let (kind, families) = match &series.value {
                Value::Counter(sum) => {
                    let name = names::total(&base);
                    add(name.clone(), None, *sum);
                    (1, vec![name])
                }
                Value::Gauge(value) => {
                    add(base.clone(), None, *value);
                    (2, vec![base])
                }
                Value::Rate { trues, total } => {
                    let names = names::rate(&base);
                    for (name, count) in names.iter().zip([*trues, *total]) {
                        add(name.clone(), None, count as f64);
                    }
                    (1, names.to_vec())
                }
                Value::Distribution { counts, count, sum } => {
                    let mut below = 0;
                    let ends = bounds(info.metric.unit).iter().copied().chain([f64::INFINITY]);
                    for (bound, more) in ends.zip(counts) {
                        below += more;
                        add(format!("{base}_bucket"), Some(names::number(bound)), below as f64);
                    }
                    add(format!("{base}_sum"), None, *sum);
                    add(format!("{base}_count"), None, *count as f64);
                    (3, vec![base])
                }
            };
            for family in families {
                if self.told.insert(family.clone()) {
                    let mut of = Message::default();
                    let help = &info.metric.description;
                    of.varint(field::TYPE, kind).text(field::FAMILY, &family).text(field::HELP, help);
                    metadata.message(field::METADATA, &of);
                }
            }
        }
        if request.is_empty() {
            return None;
        }
        let mut body = request.into_bytes();
        body.extend(metadata.into_bytes());
        // It fails only beyond 4 GiB.
        snap::raw::Encoder::new().compress_vec(&body).ok()
    }
}

/// A series with its labels sorted by name, as they have to be.
fn labelled(labels: &BTreeMap<String, String>, name: String, le: Option<String>) -> Message {
    let own = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
    let more = le.map(|le| ("le".to_owned(), le)).into_iter().chain([("__name__".to_owned(), name)]);
    let all: BTreeMap<String, String> = own.chain(more).collect();
    let mut series = Message::default();
    for (name, value) in all {
        let mut label = Message::default();
        label.text(field::NAME, &name).text(field::VALUE, &value);
        series.message(field::LABELS, &label);
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use kperf_metrics::{Builtin, Registry, Shard, Tags};

    use crate::wire::reading::{Fields, read};

    fn opened(body: &[u8]) -> Fields {
        read(&snap::raw::Decoder::new().decompress_vec(body).unwrap())
    }

    /// The labels of a series, in their order.
    fn labels(series: &Fields) -> Vec<(String, String)> {
        let label = |label: Fields| (label.one(1).text(), label.one(2).text());
        series.all(1).map(|field| label(field.message())).collect()
    }

    #[test]
    fn each_second_has_the_sums_so_far_at_its_own_time() {
        let registry = Registry::default();
        let id = |builtin: Builtin| registry.series(builtin.into(), Tags::new([("scenario", "a")])).unwrap();
        let (requests, duration) = (id(Builtin::HttpReqs), id(Builtin::HttpReqDuration));
        let mut write = RemoteWrite::new(Common { suite: "s".into(), run: "r".into(), ..Common::default() });
        let mut second = |at: u64| {
            let mut shard = Shard::new(registry.clone(), 0);
            shard.count(requests, 2.0);
            shard.record(duration, 0.2);
            let interval = shard.take(1);
            write.second(at, interval.iter().map(|(id, delta)| (registry.info(id).unwrap(), delta)))
        };
        let (first, next) = (opened(&second(5_000_000_000).unwrap()), opened(&second(6_000_999_999).unwrap()));
        assert_eq!((first.all(3).count(), next.all(3).count()), (2, 0), "told once");
        let value = |request: &Fields, name: &str, le: Option<&str>| {
            let wanted = |series: &Fields| {
                let labels = labels(series);
                let label = |key: &str| labels.iter().find(|it| it.0 == key).map(|it| it.1.as_str());
                label("__name__") == Some(name) && label("le") == le && label("run") == Some("r")
            };
            let series = request.all(1).map(|field| field.message()).find(wanted)?;
            let sample = series.one(2).message();
            Some((sample.one(1).double(), sample.one(2).number()))
        };
        assert_eq!(value(&first, "kperf_http_reqs_total", None), Some((2.0, 5_000)));
        assert_eq!(value(&next, "kperf_http_reqs_total", None), Some((4.0, 6_000)));
        let bucket = |le| value(&next, "kperf_http_req_duration_seconds_bucket", Some(le));
        assert_eq!(
            (bucket("0.1"), bucket("0.25"), bucket("+Inf")),
            (Some((0.0, 6_000)), Some((2.0, 6_000)), Some((2.0, 6_000)))
        );
        assert_eq!(value(&next, "kperf_http_req_duration_seconds_sum", None), Some((0.4, 6_000)));
        assert!(next.all(1).all(|series| labels(&series.message()).is_sorted()));
        // What comes late is in the sums that follow.
        assert_eq!(second(4_000_000_000), None);
        assert_eq!(value(&opened(&second(7_000_000_000).unwrap()), "kperf_http_reqs_total", None), Some((8.0, 7_000)));
        assert_eq!(write.left_out(), 2);
    }
}
