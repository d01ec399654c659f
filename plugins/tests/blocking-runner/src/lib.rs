//! For tests: a runner in blocking style, as a language without async support makes it. Its functions are lifted and
//! lowered synchronously, so the host has to give each virtual user an instance of its own.

#[allow(missing_docs, unsafe_code, unused_qualifications, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "runner", async: false });
}

#[cfg(target_arch = "wasm32")]
use bindings::export;
use bindings::{
    exports::kperf::plugin::runner_api::{Guest, Iteration, Scenario},
    kperf::plugin::{
        clock,
        http::{self, BodyMode, Request},
        metrics,
        types::{Description, Entry, Failure, Finding, Mode},
    },
};

/// The requests of a user.
pub struct BlockingRunner;

impl Guest for BlockingRunner {
    fn describe() -> Description {
        Description {
            name: "blocking-runner".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends one GET per iteration, in blocking style".into(),
            modes: vec![
                Mode { name: "get".into(), description: "GET /".into(), parameters: "{}".into(), needs_target: false },
                Mode {
                    name: "sleep".into(),
                    description: "Waits for 10 ms".into(),
                    parameters: "{}".into(),
                    needs_target: false,
                },
            ],
            metrics: Vec::new(),
            tables: Vec::new(),
        }
    }

    fn preflight(_: Scenario) -> Vec<Finding> {
        Vec::new()
    }

    fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
        Ok(scenario.mode.into_bytes())
    }

    fn open(_: Scenario, state: Vec<u8>) -> Result<(), Failure> {
        SLEEPS.set(state == b"sleep");
        Ok(())
    }

    fn iterate(_: Iteration) -> Result<(), Failure> {
        if SLEEPS.get() {
            clock::sleep(10_000_000);
            return Ok(());
        }
        let request = Request {
            operation: "get".into(),
            method: "GET".into(),
            url: "/".into(),
            headers: Vec::new(),
            body: Vec::new(),
            credential: None,
            timeout: None,
            redirects: 0,
            expected: Vec::new(),
            response_headers: Vec::new(),
            response_body: BodyMode::Discard,
            tags: Vec::new(),
        };
        let status = match http::send(&request) {
            Ok(response) => response.status,
            Err(error) => return Err(Failure { kind: "http".into(), message: format!("{error:?}") }),
        };
        metrics::check("answers", status == 200);
        Ok(())
    }

    fn teardown(_: Scenario, _: Vec<u8>) -> Result<(), Failure> {
        Ok(())
    }

    fn cleanup(_: Scenario, _: Vec<Entry>) -> Result<(), Failure> {
        Ok(())
    }
}

thread_local! {
    static SLEEPS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the component's exports are C functions")]
mod exports {
    use super::BlockingRunner;
    super::export!(BlockingRunner with_types_in super::bindings);
}
