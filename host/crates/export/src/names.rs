//! How metrics and tags are called in Prometheus.

use std::collections::BTreeMap;

use kperf_metrics::{MetricDef, MetricKind, SeriesInfo, Unit};

use crate::Common;

/// Labels that kperf, Prometheus or its formats set; a tag of that name gets a prefix, as Prometheus gives one itself.
const RESERVED: [&str; 6] = ["suite", "run", "job", "instance", "le", "quantile"];

/// A metric as Prometheus knows it: `http_req_duration` in seconds is `kperf_http_req_duration_seconds`.
pub(crate) fn base(metric: &MetricDef) -> String {
    let mut name = format!("kperf_{}", metric.name);
    let unit = match (metric.unit, metric.kind) {
        (Unit::Seconds, _) => "_seconds",
        (Unit::Bytes, _) => "_bytes",
        (Unit::Ratio, MetricKind::Gauge | MetricKind::Distribution) => "_ratio",
        _ => "",
    };
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    name
}

/// The name of a counter.
pub(crate) fn total(base: &str) -> String {
    if base.ends_with("_total") { base.to_owned() } else { format!("{base}_total") }
}

/// The names of the two counters that a rate becomes: samples that were true, and all of them.
pub(crate) fn rate(base: &str) -> [String; 2] {
    let base = base.trim_end_matches("_total");
    [format!("{base}_true_total"), format!("{base}_samples_total")]
}

/// A series' labels, sorted by name.
pub(crate) fn labels(info: &SeriesInfo, common: &Common) -> BTreeMap<String, String> {
    let mut labels = common.all();
    for (key, value) in info.tags.iter() {
        let taken = RESERVED.contains(&key) || common.labels.contains_key(key);
        // Names that begin with two underscores are Prometheus' own.
        let key = if taken || key.starts_with("__") { format!("exported_{key}") } else { key.to_owned() };
        labels.insert(key, value.to_owned());
    }
    labels
}

/// A number as Prometheus' formats have it.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kperf_metrics::{Registry, Tags};

    #[test]
    fn names_have_a_prefix_and_their_unit() {
        let base_of = |name, kind, unit| base(&MetricDef::new(name, kind, unit, ""));
        assert_eq!(
            base_of("http_req_duration", MetricKind::Distribution, Unit::Seconds),
            "kperf_http_req_duration_seconds"
        );
        assert_eq!(base_of("data_sent", MetricKind::Counter, Unit::Bytes), "kperf_data_sent_bytes");
        assert_eq!(base_of("wait_seconds", MetricKind::Gauge, Unit::Seconds), "kperf_wait_seconds");
        assert_eq!(base_of("checks", MetricKind::Rate, Unit::Ratio), "kperf_checks");
        assert_eq!(total("kperf_http_reqs"), "kperf_http_reqs_total");
        assert_eq!(total("kperf_x_total"), "kperf_x_total");
        assert_eq!(rate("kperf_checks"), ["kperf_checks_true_total", "kperf_checks_samples_total"]);
    }

    #[test]
    fn tags_do_not_take_the_place_of_labels_that_mean_something() {
        let registry = Registry::default();
        let tags = Tags::new([("le", "1"), ("run", "mine"), ("__name__", "evil"), ("team", "a"), ("operation", "get")]);
        let id = registry.series(kperf_metrics::Builtin::HttpReqs.into(), tags).unwrap();
        let common = Common {
            suite: "s".into(),
            run: "r".into(),
            labels: [("team".to_owned(), "b".to_owned())].into(),
            start_unix_ns: 0,
        };
        let labels = labels(&registry.info(id).unwrap(), &common);
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let wanted = [
            "exported___name__=evil",
            "exported_le=1",
            "exported_run=mine",
            "exported_team=a",
            "operation=get",
            "run=r",
            "suite=s",
            "team=b",
        ];
        assert_eq!(labels, wanted);
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        assert_eq!([0.005, 1.0, 1e9, f64::INFINITY].map(number), ["0.005", "1", "1000000000", "+Inf"]);
        assert_eq!(number(f64::NAN), "NaN");
    }
}
