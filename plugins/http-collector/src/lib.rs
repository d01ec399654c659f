//! Asks for a path on an interval, and says whether it answers and how long that takes: a view of the target that does not
//! depend on the load.
//!
//! In comes a path; out go two samples per observation. It knows no product.

use kperf_plugin_sdk::{
    Collection, Collector, Description, Failure, MetricKind, Unit, export_collector,
    http::{BodyMode, Request},
    metrics::{self, Sample},
};
use serde::Deserialize;

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "path": {
      "description": "A path below the target, or an absolute URL.",
      "type": "string",
      "minLength": 1,
      "default": "/"
    },
    "status": {
      "description": "The status that says that the target is up; without it, any from 200 to 399.",
      "type": "integer",
      "minimum": 100,
      "maximum": 599
    }
  }
}"#;

/// The request, and the status that says that the target is up.
pub struct HttpCollector {
    probe: Request,
    status: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default = "root")]
    path: String,
    status: Option<u16>,
}

fn root() -> String {
    "/".into()
}

impl HttpCollector {
    fn new(params: Params) -> Self {
        let mut probe = Request::get("probe", params.path);
        probe.response_body = BodyMode::Discard;
        if let Some(status) = params.status {
            probe = probe.expect(status);
        }
        Self { probe, status: params.status }
    }

    fn is_up(&self, status: u16) -> bool {
        self.status.map_or((200..400).contains(&status), |expected| expected == status)
    }
}

impl Collector for HttpCollector {
    fn describe() -> Description {
        Description::new("http-collector", env!("CARGO_PKG_VERSION"), "Asks for a path on an interval")
            .mode("probe", "One GET per interval", PARAMETERS)
            .metric("probe_up", MetricKind::Gauge, Unit::None, "1 while the target answers as it should, else 0")
            .metric("probe_duration", MetricKind::Distribution, Unit::Seconds, "How long an answer takes")
    }

    async fn start(collection: Collection) -> Result<Self, Failure> {
        Ok(Self::new(collection.params()?))
    }

    async fn collect(&self) -> Result<(), Failure> {
        let samples = match self.probe.clone().send().await {
            // What the suite does not grant is a mistake in the suite and says nothing about the target.
            Err(error) => {
                let failure = Failure::from(error);
                if matches!(failure.kind.as_str(), "denied" | "invalid" | "interrupted") {
                    return Err(failure);
                }
                vec![Sample::new("probe_up", 0.0)]
            }
            Ok(response) => vec![
                Sample::new("probe_up", f64::from(u8::from(self.is_up(response.status)))),
                Sample::new("probe_duration", response.timing.duration as f64 / 1e9),
            ],
        };
        metrics::emit(&samples);
        Ok(())
    }
}

export_collector!(HttpCollector);

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(params: &str) -> HttpCollector {
        HttpCollector::new(serde_json::from_str(params).unwrap())
    }

    #[test]
    fn up_is_what_the_suite_says() {
        let any = collector("{}");
        assert_eq!((any.probe.url.as_str(), any.is_up(204), any.is_up(500)), ("/", true, false));
        let one = collector(r#"{"status": 401}"#);
        assert!(one.is_up(401) && !one.is_up(200));
        assert_eq!(one.probe.expected.len(), 1);
    }
}
