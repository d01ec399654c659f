//! Sends the HTTP requests that a suite describes, and checks the answers.
//!
//! In comes the mode's parameter table; out go requests through the host. It knows no product. Everything that can be
//! prepared is prepared in `open`, because an iteration should cost about as much as sending the request.

mod expectation;
mod params;
mod picker;
mod prepared;

use kperf_plugin_sdk::{
    Description, Failure, Finding, Iteration, Runner, Scenario, export_runner,
    http::Request,
    random::{self, Weighted},
};

use params::{Order, Params, RequestParams};
use prepared::PreparedRequest;

/// The requests of the suite, ready to be sent.
pub struct HttpRunner {
    requests: Weighted<PreparedRequest>,
    order: Order,
}

impl HttpRunner {
    fn new(params: Params) -> Result<Self, Failure> {
        let order = params.order;
        let prepare = |request: RequestParams| Ok((request.weight, PreparedRequest::new(request)?));
        let requests: Vec<_> = params.requests.into_iter().map(prepare).collect::<Result<_, Failure>>()?;
        let requests = Weighted::new(requests);
        if requests.total() == 0 && order == Order::Weighted {
            return Err(Failure::params("every request has weight 0: give at least one of them a larger weight"));
        }
        Ok(Self { requests, order })
    }

    fn choose(&self) -> Option<&PreparedRequest> {
        match self.requests.items() {
            [only] => Some(only),
            _ => self.requests.choose(random::below),
        }
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
            Ok(runner) => runner.requests.items().iter().find(|it| it.is_read_only()).map(PreparedRequest::request),
            Err(failure) => return vec![Finding::fail("parameters", failure.message)],
        };
        // Only a request that changes nothing may be tried out; without one, the target's root has to do.
        let expected = first.is_some();
        let request = match first {
            Some(request) => Request { operation: "preflight".into(), ..request },
            None if scenario.target.is_empty() => return Vec::new(),
            None => Request::get("preflight", "/"),
        };
        let url = request.url.clone();
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
                Some(request) => request.run().await,
                None => Ok(()),
            },
            Order::Sequence => {
                for request in self.requests.items() {
                    request.run().await?;
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
