//! Misbehaves on request: each mode does one thing that the host has to survive. For trying out the sandbox and its
//! limits, and what a misbehaving plugin looks like in a result.
//!
//! In comes a mode and how often to misbehave; out go the fault, or a harmless request in between. It knows no product.

use std::{hint::black_box, time::Duration};

use kperf_plugin_sdk::{
    Description, Failure, Iteration, MetricKind, Runner, Scenario, Unit, clock, export_runner,
    http::Request,
    log,
    metrics::{self, Sample},
};
use serde::Deserialize;

/// The fault, and how often it happens.
pub struct FaultyRunner {
    fault: Fault,
    params: Params,
}

#[derive(Clone, Copy)]
enum Fault {
    Trap,
    Spin,
    Allocate,
    Recurse,
    DeniedHost,
    SampleFlood,
    LogFlood,
    Hang,
    Healthy,
}

const MODES: [(&str, Fault, &str); 9] = [
    ("trap", Fault::Trap, "Executes an unreachable instruction"),
    ("spin", Fault::Spin, "Computes for ever, without waiting for anything"),
    ("allocate", Fault::Allocate, "Takes memory until there is none"),
    ("recurse", Fault::Recurse, "Calls itself until the stack is used up"),
    ("denied-host", Fault::DeniedHost, "Asks for a host that no suite grants"),
    ("sample-flood", Fault::SampleFlood, "Records 100,000 samples per iteration"),
    ("log-flood", Fault::LogFlood, "Writes 10,000 lines per iteration"),
    ("hang", Fault::Hang, "Waits for ten hours"),
    ("healthy", Fault::Healthy, "Sends a GET and checks the answer: the control group"),
];

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "path": {
      "description": "The path to ask for in an iteration that behaves; empty for no request at all.",
      "type": "string",
      "default": "/"
    },
    "every": {
      "description": "Misbehave in each so-many-th iteration of a virtual user, beginning with the last of them.",
      "type": "integer",
      "minimum": 1,
      "default": 1
    }
  }
}"#;

#[derive(Deserialize)]
struct Params {
    #[serde(default = "root")]
    path: String,
    #[serde(default = "one")]
    every: u64,
}

fn root() -> String {
    "/".into()
}

fn one() -> u64 {
    1
}

impl FaultyRunner {
    async fn behave(&self) -> Result<(), Failure> {
        if self.params.path.is_empty() {
            return Ok(());
        }
        let response = Request::get("healthy", self.params.path.clone()).discard().send().await?;
        metrics::check("healthy", response.is_success());
        response.success().map(|_| ())
    }
}

impl Runner for FaultyRunner {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        let description =
            Description::new("faulty-runner", version, "Misbehaves on request, to try the host's sandbox");
        MODES.iter().fold(description, |description, (name, _, text)| description.mode(name, text, PARAMETERS)).metric(
            "faulty_flood",
            MetricKind::Counter,
            Unit::None,
            "Samples of the mode `sample-flood`",
        )
    }

    async fn open(scenario: Scenario, _state: Vec<u8>) -> Result<Self, Failure> {
        let Some((_, fault, _)) = MODES.iter().find(|(name, ..)| *name == scenario.mode) else {
            return Err(scenario.unknown_mode());
        };
        Ok(Self { fault: *fault, params: scenario.params()? })
    }

    async fn iterate(&self, iteration: Iteration) -> Result<(), Failure> {
        if !(iteration.number + 1).is_multiple_of(self.params.every.max(1)) {
            return self.behave().await;
        }
        match self.fault {
            Fault::Trap => std::process::abort(),
            Fault::Spin => spin(),
            Fault::Allocate => allocate(),
            Fault::Recurse => {
                black_box(recurse(black_box(1)));
            }
            Fault::DeniedHost => {
                Request::get("denied", "http://denied.kperf.invalid/").send().await?;
            }
            Fault::SampleFlood => {
                let samples = vec![Sample::new("faulty_flood", 1.0); 1000];
                (0..100).for_each(|_| metrics::emit(&samples));
            }
            Fault::LogFlood => (0..10_000).for_each(|_| log::info("and another line")),
            Fault::Hang => {
                clock::sleep(Duration::from_secs(36_000)).await;
            }
            Fault::Healthy => return self.behave().await,
        }
        Ok(())
    }
}

fn spin() {
    let mut turns = 0_u64;
    // The counter is never this large; the compiler is not told.
    while black_box(turns) != u64::MAX {
        turns += 1;
    }
}

fn allocate() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    // 4 GiB is all that a 32-bit memory can have, so this ends in a trap in any case.
    for _ in 0..=4096 {
        blocks.push(black_box(vec![1; 1 << 20]));
    }
    black_box(blocks);
}

/// Uses only the host's stack for guests: one in the guest's own memory would run into the memory's edge first, which is a
/// plain trap. What follows the call keeps the compiler from making a loop of it.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the fault")]
fn recurse(depth: u64) -> u64 {
    (recurse(depth.wrapping_mul(3) ^ 1).rotate_left(7)).wrapping_mul(depth | 1) ^ depth
}

export_runner!(FaultyRunner);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_valid_schema_that_matches_its_parameters() {
        let description = FaultyRunner::describe();
        assert_eq!(description.modes.len(), MODES.len());
        let defaults = kperf_plugin_sdk::schema::defaults(PARAMETERS);
        let params: Params = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!((params.path.as_str(), params.every), ("/", 1));
    }
}
