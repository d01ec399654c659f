//! One of the suite's requests, ready to be sent: nothing is parsed or formatted per iteration.

use kperf_plugin_sdk::{
    Failure,
    http::{BodyMode, Request},
};

use crate::{expectation::Expectation, params::RequestParams};

pub struct PreparedRequest {
    template: Request,
    expectation: Expectation,
}

impl PreparedRequest {
    pub fn new(params: RequestParams) -> Result<Self, Failure> {
        let mut template = Request::new(&params.name, &params.method, params.path);
        for (name, value) in params.headers {
            template = template.header(&name, value);
        }
        template = match (params.body, params.json) {
            (None, None) => template,
            (Some(text), None) => template.body(text),
            (None, Some(value)) => template.json(&value)?,
            (Some(_), Some(_)) => {
                let message = format!("request `{}` has both `body` and `json`: keep one of them", params.name);
                return Err(Failure::params(message));
            }
        };
        let expectation = Expectation::new(&params.name, params.expect)?;
        for &status in expectation.statuses() {
            template = template.expect(status);
        }
        if !expectation.wants_body() {
            template.response_body = BodyMode::Discard;
        }
        Ok(Self { template, expectation })
    }

    pub fn request(&self) -> Request {
        self.template.clone()
    }

    pub fn is_read_only(&self) -> bool {
        matches!(self.template.method.as_str(), "GET" | "HEAD")
    }

    pub async fn run(&self) -> Result<(), Failure> {
        let response = self.request().send().await?;
        self.expectation.check(&response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(params: serde_json::Value) -> Result<PreparedRequest, Failure> {
        PreparedRequest::new(serde_json::from_value(params).unwrap())
    }

    #[test]
    fn only_a_body_that_is_looked_at_is_kept() {
        let body = |expect: serde_json::Value| {
            let request = prepared(serde_json::json!({"name": "a", "path": "/", "expect": expect})).unwrap();
            request.template.response_body
        };
        assert_eq!(body(serde_json::json!({"status": 200})), BodyMode::Discard);
        assert_eq!(body(serde_json::json!({"contains": "x"})), BodyMode::Keep);
        assert_eq!(body(serde_json::json!({"json": {"/a": 1}})), BodyMode::Keep);
    }

    #[test]
    fn two_bodies_are_refused() {
        let params = serde_json::json!({"name": "a", "path": "/", "body": "x", "json": {}});
        assert!(prepared(params).err().unwrap().message.contains("keep one"));
    }

    #[test]
    fn expected_statuses_reach_the_host() {
        let request =
            prepared(serde_json::json!({"name": "a", "path": "/", "expect": {"status": [200, 404]}})).unwrap();
        let ranges: Vec<_> = request.template.expected.iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(ranges, [(200, 200), (404, 404)]);
    }
}
