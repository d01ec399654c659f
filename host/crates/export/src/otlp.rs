//! OTLP: a second of series as an OpenTelemetry metrics request, in Protobuf.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use kperf_metrics::{MetricDef, Unit};

use crate::cumulative::{Cumulative, Value, bounds};
use crate::wire::Message;
use crate::{Common, Touched};

/// Fields of the messages in `opentelemetry/proto`, each under its message's name.
mod field {
    pub(super) const REQUEST_RESOURCE_METRICS: u32 = 1;
    pub(super) const RESOURCE_METRICS_RESOURCE: u32 = 1;
    pub(super) const RESOURCE_METRICS_SCOPE_METRICS: u32 = 2;
    pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
    pub(super) const SCOPE_METRICS_SCOPE: u32 = 1;
    pub(super) const SCOPE_METRICS_METRICS: u32 = 2;
    pub(super) const SCOPE_NAME: u32 = 1;
    pub(super) const SCOPE_VERSION: u32 = 2;
    pub(super) const METRIC_NAME: u32 = 1;
    pub(super) const METRIC_DESCRIPTION: u32 = 2;
    pub(super) const METRIC_UNIT: u32 = 3;
    pub(super) const METRIC_GAUGE: u32 = 5;
    pub(super) const METRIC_SUM: u32 = 7;
    pub(super) const METRIC_HISTOGRAM: u32 = 9;
    pub(super) const DATA_POINTS: u32 = 1;
    pub(super) const TEMPORALITY: u32 = 2;
    pub(super) const SUM_IS_MONOTONIC: u32 = 3;
    pub(super) const POINT_START: u32 = 2;
    pub(super) const POINT_TIME: u32 = 3;
    pub(super) const NUMBER_AS_DOUBLE: u32 = 4;
    pub(super) const NUMBER_ATTRIBUTES: u32 = 7;
    pub(super) const HISTOGRAM_COUNT: u32 = 4;
    pub(super) const HISTOGRAM_SUM: u32 = 5;
    pub(super) const HISTOGRAM_BUCKETS: u32 = 6;
    pub(super) const HISTOGRAM_BOUNDS: u32 = 7;
    pub(super) const HISTOGRAM_ATTRIBUTES: u32 = 9;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const ANY_STRING: u32 = 1;
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// See the module.
#[derive(Debug)]
pub struct Otlp {
    common: Common,
    all: Cumulative,
}

impl Otlp {
    /// Nothing yet.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self { common, all: Cumulative::default() }
    }

    /// The headers of each request.
    #[must_use]
    pub fn headers() -> HeaderMap {
        [(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))].into_iter().collect()
    }

    /// The body for a second that begins at `unix_ns`; none if there is nothing to send.
    pub fn second<'a>(&mut self, unix_ns: u64, touched: impl Iterator<Item = Touched<'a>>) -> Option<Vec<u8>> {
        let mut scope = Message::default();
        scope.text(field::SCOPE_NAME, "kperf").text(field::SCOPE_VERSION, env!("CARGO_PKG_VERSION"));
        let mut metrics = Message::default();
        metrics.message(field::SCOPE_METRICS_SCOPE, &scope);
        let mut any = false;
        for (info, delta) in touched {
            let Some(series) = self.all.add(&info, delta) else { continue };
            any = true;
            let attributes: Vec<Message> = info.tags.iter().map(|(key, value)| attribute(key, value)).collect();
            let point = Point { attributes, start: self.common.start_unix_ns, at: unix_ns };
            let name = format!("kperf.{}", info.metric.name);
            let mut add = |name: &str, kind: u32, data: &Message| {
                let mut metric = described(&info.metric, name);
                metric.message(kind, data);
                metrics.message(field::SCOPE_METRICS_METRICS, &metric);
            };
            match &series.value {
                Value::Counter(sum) => add(&name, field::METRIC_SUM, &point.sum(*sum)),
                Value::Gauge(value) => {
                    let mut gauge = Message::default();
                    gauge.message(field::DATA_POINTS, &point.number(*value));
                    add(&name, field::METRIC_GAUGE, &gauge);
                }
                Value::Rate { trues, total } => {
                    for (part, count) in [("true", trues), ("samples", total)] {
                        add(&format!("{name}.{part}"), field::METRIC_SUM, &point.sum(*count as f64));
                    }
                }
                Value::Distribution { counts, count, sum } => {
                    let data = point.histogram(counts, *count, *sum, bounds(info.metric.unit));
                    add(&name, field::METRIC_HISTOGRAM, &data);
                }
            }
        }
        any.then(|| self.request(&metrics).into_bytes())
    }

    fn request(&self, metrics: &Message) -> Message {
        let mut resource = Message::default();
        resource.message(field::RESOURCE_ATTRIBUTES, &attribute("service.name", "kperf"));
        for (key, value) in self.common.all() {
            resource.message(field::RESOURCE_ATTRIBUTES, &attribute(&format!("kperf.{key}"), &value));
        }
        let mut of_resource = Message::default();
        of_resource
            .message(field::RESOURCE_METRICS_RESOURCE, &resource)
            .message(field::RESOURCE_METRICS_SCOPE_METRICS, metrics);
        let mut request = Message::default();
        request.message(field::REQUEST_RESOURCE_METRICS, &of_resource);
        request
    }
}

/// A metric without its data.
fn described(def: &MetricDef, name: &str) -> Message {
    // Units of UCUM, as OpenTelemetry wants them.
    let unit = match def.unit {
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        Unit::Ratio | Unit::None => "1",
    };
    let mut metric = Message::default();
    metric
        .text(field::METRIC_NAME, name)
        .text(field::METRIC_DESCRIPTION, &def.description)
        .text(field::METRIC_UNIT, unit);
    metric
}

fn attribute(key: &str, value: &str) -> Message {
    let mut any = Message::default();
    any.text(field::ANY_STRING, value);
    let mut attribute = Message::default();
    attribute.text(field::KEY, key).message(field::VALUE, &any);
    attribute
}

struct Point {
    attributes: Vec<Message>,
    start: u64,
    at: u64,
}

impl Point {
    /// A point without its value; the field of its attributes depends on what it is.
    fn begun(&self, attributes: u32) -> Message {
        let mut point = Message::default();
        point.fixed64(field::POINT_START, self.start).fixed64(field::POINT_TIME, self.at);
        for attribute in &self.attributes {
            point.message(attributes, attribute);
        }
        point
    }

    fn number(&self, value: f64) -> Message {
        let mut point = self.begun(field::NUMBER_ATTRIBUTES);
        point.double(field::NUMBER_AS_DOUBLE, value);
        point
    }

    fn sum(&self, value: f64) -> Message {
        let mut sum = Message::default();
        sum.message(field::DATA_POINTS, &self.number(value))
            .varint(field::TEMPORALITY, CUMULATIVE)
            .varint(field::SUM_IS_MONOTONIC, 1);
        sum
    }

    fn histogram(&self, counts: &[u64], count: u64, sum: f64, bounds: &[f64]) -> Message {
        let mut point = self.begun(field::HISTOGRAM_ATTRIBUTES);
        point
            .fixed64(field::HISTOGRAM_COUNT, count)
            .double(field::HISTOGRAM_SUM, sum)
            .packed(field::HISTOGRAM_BUCKETS, counts.iter().copied())
            .packed(field::HISTOGRAM_BOUNDS, bounds.iter().map(|bound| bound.to_bits()));
        let mut histogram = Message::default();
        histogram.message(field::DATA_POINTS, &point).varint(field::TEMPORALITY, CUMULATIVE);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reading::{Fields, read};
    use kperf_metrics::{Builtin, Registry, Shard, Tags};

    fn attributes(of: &Fields, field: u64) -> Vec<(String, String)> {
        let pair = |pair: Fields| (pair.one(1).text(), pair.one(2).message().one(1).text());
        of.all(field).map(|attribute| pair(attribute.message())).collect()
    }

    #[test]
    fn a_request_has_sums_gauges_and_histograms_since_the_start() {
        let registry = Registry::default();
        let id = |builtin: Builtin| registry.series(builtin.into(), Tags::new([("scenario", "a")])).unwrap();
        let mut shard = Shard::new(registry.clone(), 0);
        shard.count(id(Builtin::DataSent), 7.0);
        shard.gauge(id(Builtin::Vus), 3.0);
        shard.rate(id(Builtin::Checks), true);
        shard.record(id(Builtin::HttpReqDuration), 0.2);
        let interval = shard.take(1);
        let mut otlp = Otlp::new(Common { suite: "s".into(), run: "r".into(), start_unix_ns: 5, ..Common::default() });
        let body = otlp.second(9, interval.iter().map(|(id, delta)| (registry.info(id).unwrap(), delta))).unwrap();
        let resource = read(&body).one(1).message();
        let of_resource = attributes(&resource.one(1).message(), 1);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(of_resource, [pair("service.name", "kperf"), pair("kperf.run", "r"), pair("kperf.suite", "s")]);
        let scope = resource.one(2).message();
        let named = |name: &str| {
            let mut metrics = scope.all(2).map(|metric| metric.message());
            metrics.find(|metric| metric.one(1).text() == name).unwrap_or_else(|| panic!("no {name}"))
        };
        let sent = named("kperf.data_sent");
        let (unit, sum) = (sent.one(3).text(), sent.one(7).message());
        assert_eq!((unit.as_str(), sum.one(2).number(), sum.one(3).number()), ("By", 2, 1));
        let point = sum.one(1).message();
        assert_eq!((point.one(2).number(), point.one(3).number(), point.one(4).double()), (5, 9, 7.0));
        assert_eq!(attributes(&point, 7), [pair("scenario", "a")]);
        assert_eq!(named("kperf.vus").one(5).message().one(1).message().one(4).double(), 3.0);
        assert_eq!(named("kperf.checks.true").one(7).message().one(1).message().one(4).double(), 1.0);
        let point = named("kperf.http_req_duration").one(9).message().one(1).message();
        assert_eq!((point.one(4).number(), point.one(5).double()), (1, 0.2));
        assert_eq!(attributes(&point, 9), [pair("scenario", "a")]);
        assert_eq!(otlp.second(10, std::iter::empty()), None);
    }
}
