//! `/metrics`: the series so far, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kperf_metrics::MetricDef;

use crate::cumulative::{Cumulative, Value, bounds};
use crate::{Common, Touched, names};

/// See the module.
#[derive(Debug)]
pub struct Page {
    common: Common,
    all: Cumulative,
}

/// The lines of a family, and what it is.
type Families = BTreeMap<String, (&'static str, String, Vec<String>)>;

impl Page {
    /// The content type that goes with it.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// An empty page.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self { common, all: Cumulative::default() }
    }

    /// Adds what a series gathered.
    pub fn add(&mut self, (info, delta): Touched<'_>) {
        self.all.add(&info, delta);
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut families = Families::new();
        for series in self.all.iter() {
            let (metric, base) = (&series.info.metric, names::base(&series.info.metric));
            let labels = names::labels(&series.info, &self.common);
            let plain = braces(&labels, None);
            match &series.value {
                Value::Counter(sum) => {
                    let name = names::total(&base);
                    push(&mut families, &name, "counter", metric, format!("{name}{plain} {}", names::number(*sum)));
                }
                Value::Gauge(value) => {
                    push(&mut families, &base, "gauge", metric, format!("{base}{plain} {}", names::number(*value)));
                }
                Value::Rate { trues, total } => {
                    for (name, count) in names::rate(&base).into_iter().zip([trues, total]) {
                        push(&mut families, &name, "counter", metric, format!("{name}{plain} {count}"));
                    }
                }
                Value::Distribution { counts, count, sum } => {
                    let mut lines = String::new();
                    let mut below = 0;
                    let ends = bounds(metric.unit).iter().copied().chain([f64::INFINITY]);
                    for (bound, more) in ends.zip(counts) {
                        below += more;
                        let labels = braces(&labels, Some(&names::number(bound)));
                        // Writing to a text can't fail.
                        let _ = writeln!(lines, "{base}_bucket{labels} {below}");
                    }
                    let _ = write!(lines, "{base}_sum{plain} {}\n{base}_count{plain} {count}", names::number(*sum));
                    push(&mut families, &base, "histogram", metric, lines);
                }
            }
        }
        let mut page = String::new();
        for (name, (kind, help, mut lines)) in families {
            lines.sort_unstable();
            let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{}\n", lines.join("\n"));
        }
        page
    }
}

fn push(families: &mut Families, name: &str, kind: &'static str, metric: &MetricDef, line: String) {
    let help = || {
        let text = if metric.description.is_empty() { &metric.name } else { &metric.description };
        text.replace('\\', r"\\").replace('\n', r"\n")
    };
    families.entry(name.to_owned()).or_insert_with(|| (kind, help(), Vec::new())).2.push(line);
}

fn braces(labels: &BTreeMap<String, String>, le: Option<&str>) -> String {
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pairs = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
    let pairs: Vec<String> = pairs.chain(le.map(|le| format!("le=\"{le}\""))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kperf_metrics::{Builtin, Registry, Shard, Tags};

    #[test]
    fn every_kind_has_its_form() {
        let registry = Registry::default();
        let tags = Tags::new([("scenario", "a \"b\"\\\n")]);
        let id = |builtin: Builtin| registry.series(builtin.into(), tags.clone()).unwrap();
        let mut page = Page::new(Common { suite: "s".into(), run: "r".into(), ..Common::default() });
        for _ in 0..2 {
            let mut shard = Shard::new(registry.clone(), 0);
            shard.count(id(Builtin::HttpReqs), 3.0);
            shard.gauge(id(Builtin::Vus), 2.5);
            shard.rate(id(Builtin::HttpReqFailed), true);
            shard.rate(id(Builtin::HttpReqFailed), false);
            shard.record(id(Builtin::HttpReqDuration), 0.003);
            shard.record(id(Builtin::HttpReqDuration), 7_200.0);
            for (id, delta) in shard.take(1).iter() {
                page.add((registry.info(id).unwrap(), delta));
            }
        }
        let text = page.render();
        let labels = r#"run="r",scenario="a \"b\"\\\n",suite="s""#;
        for line in [
            "# HELP kperf_http_reqs_total requests sent".to_owned(),
            "# TYPE kperf_http_reqs_total counter".to_owned(),
            format!("kperf_http_reqs_total{{{labels}}} 6"),
            format!("kperf_vus{{{labels}}} 2.5"),
            format!("kperf_http_req_failed_true_total{{{labels}}} 2"),
            format!("kperf_http_req_failed_samples_total{{{labels}}} 4"),
            "# TYPE kperf_http_req_duration_seconds histogram".to_owned(),
            format!("kperf_http_req_duration_seconds_bucket{{{labels},le=\"0.0025\"}} 0"),
            format!("kperf_http_req_duration_seconds_bucket{{{labels},le=\"0.005\"}} 2"),
            format!("kperf_http_req_duration_seconds_bucket{{{labels},le=\"3600\"}} 2"),
            format!("kperf_http_req_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 4"),
            format!("kperf_http_req_duration_seconds_count{{{labels}}} 4"),
            format!("kperf_http_req_duration_seconds_sum{{{labels}}} 14400.006"),
        ] {
            assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
        }
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
    }

    #[test]
    fn two_metrics_never_share_a_name() {
        let registry = Registry::default();
        let define = |name: &str, kind| {
            let def = MetricDef::new(name, kind, kperf_metrics::Unit::None, "");
            registry.series(registry.metric(&def).unwrap(), Tags::default()).unwrap()
        };
        let (first, second) =
            (define("x", kperf_metrics::MetricKind::Counter), define("x_total", kperf_metrics::MetricKind::Gauge));
        let mut shard = Shard::new(registry.clone(), 0);
        shard.count(first, 1.0);
        shard.gauge(second, 5.0);
        let mut page = Page::new(Common::default());
        for (id, delta) in shard.take(1).iter() {
            page.add((registry.info(id).unwrap(), delta));
        }
        let text = page.render();
        assert!(text.contains("TYPE kperf_x_total counter") && !text.contains("gauge"), "{text}");
    }
}
