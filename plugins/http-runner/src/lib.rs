//! Sends the HTTP requests that a suite describes, and checks the answers.
//!
//! In comes the mode's parameter table; out go requests through the host. It knows no product. Everything that can be
//! prepared is prepared in `open`, because an iteration should cost about as much as sending the request.

mod expectation;
mod params;
mod picker;
mod plan;

use kperf_plugin_sdk::{
    Description, Failure, Finding, Iteration, Runner, Scenario, export_runner, http::Request, random,
};

use params::{Order, Params};
use plan::Plan;

/// The plugin.
pub struct HttpRunner {
    plans: Vec<Plan>,
    order: Order,
    /// The sum of all weights up to and including each plan's.
    weights: Vec<u64>,
}

impl HttpRunner {
    fn new(params: Params) -> Result<Self, Failure> {
        let order = params.order;
        let mut total = 0;
        let mut weights = Vec::with_capacity(params.requests.len());
        let mut plans = Vec::with_capacity(params.requests.len());
        for request in params.requests {
            total += u64::from(request.weight);
            weights.push(total);
            plans.push(Plan::new(request)?);
        }
        if total == 0 && order == Order::Weighted {
            return Err(Failure::new(
                "params",
                "every request has weight 0: give at least one of them a larger weight",
            ));
        }
        Ok(Self { plans, order, weights })
    }

    fn choose(&self) -> Option<&Plan> {
        let total = *self.weights.last()?;
        let ticket = if self.plans.len() == 1 { 0 } else { random::below(total) };
        self.plans.get(self.weights.partition_point(|&sum| sum <= ticket))
    }
}

impl Runner for HttpRunner {
    fn describe() -> Description {
        Description::new("http-runner", env!("CARGO_PKG_VERSION"), "Sends HTTP requests and checks the answers").mode(
            "requests",
            "The requests listed in `requests`, chosen by weight or sent in sequence",
            include_str!("requests.schema.json"),
        )
    }

    async fn preflight(scenario: Scenario) -> Vec<Finding> {
        let name = "target reachable";
        let first = match scenario.params::<Params>().and_then(Self::new) {
            Ok(runner) => runner.plans.into_iter().find(Plan::is_read_only),
            Err(failure) => return vec![Finding::fail("parameters", failure.message)],
        };
        // Only a request that changes nothing may be tried out; without one, the target's root has to do.
        let request = match &first {
            Some(plan) => Request { operation: "preflight".into(), ..plan.request() },
            None if scenario.target.is_empty() => return Vec::new(),
            None => Request::get("preflight", "/"),
        };
        let url = request.url.clone();
        let expected = first.is_some();
        vec![match request.send().await {
            Err(error) => Finding::fail(name, Failure::from(error).message),
            Ok(response) if matches!(response.status, 401 | 403) => Finding::fail(
                name,
                format!("{url} answers {}: give the target a credential that may read it", response.status),
            ),
            Ok(response) if response.status >= 500 || (expected && response.status >= 400) => {
                Finding::warn(name, format!("{url} answers {}", response.status))
            }
            Ok(response) => Finding::pass(name, format!("{url} answers {}", response.status)),
        }]
    }

    async fn open(scenario: Scenario, _state: Vec<u8>) -> Result<Self, Failure> {
        Self::new(scenario.params()?)
    }

    async fn iterate(&self, _iteration: Iteration) -> Result<(), Failure> {
        match self.order {
            Order::Weighted => match self.choose() {
                Some(plan) => plan.run().await,
                None => Ok(()),
            },
            Order::Sequence => {
                for plan in &self.plans {
                    plan.run().await?;
                }
                Ok(())
            }
        }
    }
}

export_runner!(HttpRunner);

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(params: serde_json::Value) -> Result<HttpRunner, Failure> {
        HttpRunner::new(serde_json::from_value(params).unwrap())
    }

    #[test]
    fn a_single_request_needs_no_random_number() {
        let runner = runner(serde_json::json!({"requests": [{"name": "a", "path": "/a"}]})).unwrap();
        assert_eq!(runner.choose().unwrap().request().url, "/a");
    }

    #[test]
    fn weights_are_summed_up() {
        let runner = runner(serde_json::json!({"requests": [
            {"name": "a", "path": "/a", "weight": 3}, {"name": "b", "path": "/b", "weight": 0}, {"name": "c", "path": "/c"}
        ]}))
        .unwrap();
        assert_eq!(runner.weights, [3, 3, 4]);
    }

    #[test]
    fn nothing_to_choose_from_is_refused() {
        let failure =
            runner(serde_json::json!({"requests": [{"name": "a", "path": "/a", "weight": 0}]})).err().unwrap();
        assert_eq!(failure.kind, "params");
    }

    #[test]
    fn the_schema_is_json_and_knows_every_parameter() {
        let description = HttpRunner::describe();
        let schema: serde_json::Value = serde_json::from_str(&description.modes[0].parameters).unwrap();
        let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["order", "requests"]);
    }
}
