//! Expectations of a response, each of which is a check.

use kperf_plugin_sdk::{Failure, http::Response, metrics};

use crate::{params::Expect, picker::Picker};

pub struct Expectation {
    statuses: Vec<u16>,
    status_check: String,
    contains: Option<(String, String)>,
    picker: Picker,
    /// The check of each pointer, in the picker's order.
    json_checks: Vec<String>,
}

impl Expectation {
    /// Prepares the checks; `name` is the request's and starts the names of the checks.
    pub fn new(name: &str, expect: Expect) -> Result<Self, Failure> {
        let json_checks = expect.json.keys().map(|pointer| format!("{name}: {pointer}")).collect();
        let picker = Picker::new(expect.json)?;
        Ok(Self {
            statuses: expect.status.map(|statuses| statuses.into_vec()).unwrap_or_default(),
            status_check: format!("{name}: status"),
            contains: expect.contains.map(|text| (format!("{name}: contains"), text)),
            picker,
            json_checks,
        })
    }

    pub fn statuses(&self) -> &[u16] {
        &self.statuses
    }

    pub fn wants_body(&self) -> bool {
        self.contains.is_some() || !self.picker.is_empty()
    }

    /// Records every check, and fails with the first that does not hold.
    pub fn check(&self, response: &Response) -> Result<(), Failure> {
        self.check_with(response.status, &response.body, metrics::check)
    }

    fn check_with(&self, status: u16, body: &[u8], mut record: impl FnMut(&str, bool)) -> Result<(), Failure> {
        let mut failed: Option<Failure> = None;
        if self.statuses.is_empty() {
            if !(200..400).contains(&status) {
                failed = Some(Failure::new("http-status", format!("answered {status}")));
            }
        } else {
            let passed = self.statuses.contains(&status);
            record(&self.status_check, passed);
            if !passed {
                failed = Some(Failure::new("check", format!("{} is {status}", self.status_check)));
            }
        }
        if let Some((check, text)) = &self.contains {
            let passed = contains(body, text.as_bytes());
            record(check, passed);
            if !passed && failed.is_none() {
                failed = Some(Failure::new("check", format!("{check}: `{text}` is not in the body")));
            }
        }
        if !self.picker.is_empty() {
            let holds = self.picker.pick(body);
            for (index, check) in self.json_checks.iter().enumerate() {
                let passed = holds.contains(index);
                record(check, passed);
                if !passed && failed.is_none() {
                    failed = Some(Failure::new("check", format!("{check} is not as expected")));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Whether the bytes contain the text, which is not empty.
fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(expect: serde_json::Value, status: u16, body: &str) -> (Vec<(String, bool)>, Option<String>) {
        let expectation = Expectation::new("get", serde_json::from_value(expect).unwrap()).unwrap();
        let mut seen = Vec::new();
        let result =
            expectation.check_with(status, body.as_bytes(), |name, passed| seen.push((name.to_owned(), passed)));
        (seen, result.err().map(|failure| failure.kind))
    }

    #[test]
    fn every_expectation_is_a_check() {
        let expect = serde_json::json!({"status": 200, "contains": "ok", "json": {"/state": "ok", "/n": 2}});
        let (seen, failure) = checks(expect, 200, r#"{"state":"ok","n":3}"#);
        let passed: Vec<(&str, bool)> = seen.iter().map(|(name, passed)| (name.as_str(), *passed)).collect();
        assert_eq!(passed, [("get: status", true), ("get: contains", true), ("get: /n", false), ("get: /state", true)]);
        assert_eq!(failure.as_deref(), Some("check"));
    }

    #[test]
    fn without_expectations_the_status_decides_alone() {
        assert_eq!(checks(serde_json::json!({}), 204, ""), (vec![], None));
        assert_eq!(checks(serde_json::json!({}), 500, ""), (vec![], Some("http-status".into())));
    }

    #[test]
    fn an_expected_error_status_is_a_success() {
        let (seen, failure) = checks(serde_json::json!({"status": [404]}), 404, "");
        assert_eq!((seen, failure), (vec![("get: status".to_owned(), true)], None));
    }

    #[test]
    fn a_text_longer_than_the_body_is_not_in_it() {
        assert!(!contains(b"ab", b"abc"));
        assert!(contains(b"xabcx", b"abc"));
    }
}
