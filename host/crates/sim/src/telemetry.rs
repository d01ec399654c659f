//! What `/metrics` shows, under the real server's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds of the handling time's buckets, in seconds.
const BOUNDS: [f64; 13] = [0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// Service, method and code of a series.
type Call = (&'static str, &'static str, &'static str);

#[derive(Debug, Default)]
struct Handled {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    calls: BTreeMap<Call, Handled>,
    requests: BTreeMap<&'static str, u64>,
    /// Change of the number of runs since the start.
    pub(crate) runs: i64,
    /// Change of the number of pipelines since the start.
    pub(crate) pipelines: i64,
    /// Change of the number of versions since the start.
    pub(crate) versions: i64,
}

impl Telemetry {
    /// Counts a request under the server's own counter.
    pub(crate) fn request(&mut self, counter: &'static str) {
        *self.requests.entry(counter).or_default() += 1;
    }

    /// Counts a call that the gateway passed on.
    pub(crate) fn handled(&mut self, service: &'static str, method: &'static str, code: &'static str, took: Duration) {
        let handled = self.calls.entry((service, method, code)).or_default();
        let seconds = took.as_secs_f64();
        for (bucket, bound) in handled.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        handled.count += 1;
        handled.seconds += seconds;
    }

    /// The Prometheus text form.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        for (name, count) in &self.requests {
            writeln!(out, "# TYPE {name} counter\n{name} {count}")?;
        }
        let gauges = [
            ("run_server_run_count", self.runs),
            ("pipeline_server_pipeline_count", self.pipelines),
            ("pipeline_server_pipeline_version_count", self.versions),
        ];
        for (name, value) in gauges {
            writeln!(out, "# TYPE {name} gauge\n{name} {value}")?;
        }
        for name in ["grpc_server_started_total", "grpc_server_handled_total"] {
            writeln!(out, "# TYPE {name} counter")?;
            if name == "grpc_server_started_total" {
                let mut started: BTreeMap<(&str, &str), u64> = BTreeMap::new();
                for ((service, method, _), handled) in &self.calls {
                    *started.entry((service, method)).or_default() += handled.count;
                }
                for ((service, method), count) in started {
                    writeln!(out, "{name}{{{}}} {count}", labels(service, method))?;
                }
                continue;
            }
            for ((service, method, code), handled) in &self.calls {
                writeln!(out, "{name}{{grpc_code=\"{code}\",{}}} {}", labels(service, method), handled.count)?;
            }
        }
        let name = "grpc_server_handling_seconds";
        writeln!(out, "# TYPE {name} histogram")?;
        let mut merged: BTreeMap<(&str, &str), Handled> = BTreeMap::new();
        for ((service, method, _), handled) in &self.calls {
            let all = merged.entry((service, method)).or_default();
            all.buckets.iter_mut().zip(handled.buckets).for_each(|(sum, part)| *sum += part);
            all.count += handled.count;
            all.seconds += handled.seconds;
        }
        for ((service, method), handled) in merged {
            let labels = labels(service, method);
            for (count, bound) in handled.buckets.iter().zip(BOUNDS) {
                writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", handled.count)?;
            writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", handled.seconds, handled.count)?;
        }
        Ok(())
    }
}

fn labels(service: &str, method: &str) -> String {
    format!(
        "grpc_method=\"{method}\",grpc_service=\"kubeflow.pipelines.backend.api.v2beta1.{service}\",grpc_type=\"unary\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_codes_add_up() {
        let mut telemetry = Telemetry::default();
        telemetry.request("run_server_get_requests");
        telemetry.handled("RunService", "GetRun", "OK", Duration::from_millis(20));
        telemetry.handled("RunService", "GetRun", "NotFound", Duration::from_millis(1));
        let text = telemetry.text();
        let labels = labels("RunService", "GetRun");
        for line in [
            "run_server_get_requests 1".to_owned(),
            format!("grpc_server_started_total{{{labels}}} 2"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.01\"}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.03\"}} 2"),
            format!("grpc_server_handling_seconds_count{{{labels}}} 2"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
