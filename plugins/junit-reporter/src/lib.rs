//! Writes the result as JUnit XML, which CI systems show as tests: each threshold and each check is a test case, each scenario a
//! suite of them.
//!
//! In comes the text of `summary.json`; out goes one file in the run's folder.

use kperf_plugin_sdk::{
    Description, Failure, Reporter, Reporting,
    artifacts::OneFile,
    export_reporter,
    quantity::with_unit,
    summary::{Check, Summary, Threshold},
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The file that it writes.
pub struct JunitReporter {
    file: OneFile,
}

impl Reporter for JunitReporter {
    fn describe() -> Description {
        Description::new("junit-reporter", env!("CARGO_PKG_VERSION"), "Writes thresholds and checks as JUnit XML").mode(
            "file",
            OneFile::MODE,
            &OneFile::parameters("junit.xml"),
        )
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { file: reporting.params()? })
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let text = xml(&Summary::read(&summary)?)
            .map_err(|error| Failure::new("xml", format!("the result can't be written as XML: {error}")))?;
        self.file.write(text).await
    }
}

/// The document, as Jenkins' schema has it: that allows the root no `skipped`, and there is never any.
fn xml(summary: &Summary) -> Result<String, quick_junit::SerializeError> {
    Ok(report(summary).to_string()?.replacen(" skipped=\"0\"", "", 1))
}

fn report(summary: &Summary) -> Report {
    let mut report = Report::new(summary.run.suite.as_str());
    for scenario in &summary.scenarios {
        let mut suite = TestSuite::new(scenario.name.as_str());
        suite.set_time(seconds(scenario.elapsed));
        let own = summary.thresholds.iter().filter(|it| it.scenario.as_ref() == Some(&scenario.name));
        suite.add_test_cases(own.map(|it| threshold(it, &scenario.name)));
        suite.add_test_cases(scenario.checks.iter().map(|it| check(it, &scenario.name)));
        report.add_test_suite(suite);
    }
    let mut suite = TestSuite::new(summary.run.suite.as_str());
    let whole = summary.thresholds.iter().filter(|it| it.scenario.is_none());
    suite.add_test_cases(whole.map(|it| threshold(it, &summary.run.suite)));
    // Doubts and an interrupted run belong to no threshold; a green report would hide them.
    if summary.verdict.outcome != "pass" {
        let doubts = summary.verdict.reasons.iter().filter(|it| it.kind != "threshold-breached");
        let doubts: Vec<&str> = doubts.map(|it| it.text.as_str()).collect();
        if !doubts.is_empty() || summary.verdict.outcome != "fail" {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(summary.verdict.outcome.as_str()).set_description(doubts.join("\n"));
            let mut case = TestCase::new("verdict", status);
            case.set_classname(summary.run.suite.as_str());
            suite.add_test_case(case);
        }
    }
    if !suite.test_cases.is_empty() {
        report.add_test_suite(suite);
    }
    report
}

fn threshold(threshold: &Threshold, of: &str) -> TestCase {
    let value = threshold.value.map_or_else(|| "no samples".to_owned(), |it| with_unit(it, &threshold.unit));
    let status = match threshold.outcome.as_str() {
        "pass" => TestCaseStatus::success(),
        "breach" => failed(NonSuccessKind::Failure, &value, &threshold.text),
        _ => failed(NonSuccessKind::Error, &value, &threshold.text),
    };
    let mut case = TestCase::new(threshold.text.as_str(), status);
    case.set_classname(of).set_system_out(value);
    case
}

fn check(check: &Check, of: &str) -> TestCase {
    let counts = format!("held {} times, failed {} times", check.passes, check.fails);
    // Checks do not decide on the verdict; one that did not always hold is shown all the same.
    let status = match check.fails {
        0 => TestCaseStatus::success(),
        _ => failed(NonSuccessKind::Failure, &counts, &check.name),
    };
    let mut case = TestCase::new(format!("check: {}", check.name), status);
    case.set_classname(of).set_system_out(counts);
    case
}

fn failed(kind: NonSuccessKind, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(text);
    status
}

fn seconds(value: f64) -> std::time::Duration {
    std::time::Duration::try_from_secs_f64(value).unwrap_or_default()
}

export_reporter!(JunitReporter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_and_checks_are_test_cases() {
        let summary = Summary::read(
            r#"{"run":{"id":"r1","suite":"nightly"},"verdict":{"outcome":"fail","reasons":[
              {"kind":"threshold-breached","text":"x"},{"kind":"late-starts","text":"late <2>"}]},
            "thresholds":[{"scenario":"runs","text":"a p(95) < 1s & b","outcome":"breach","value":1.5,"unit":"seconds"},
              {"scenario":"runs","text":"c count > 0","outcome":"no-samples","unit":"none"},
              {"text":"d rate < 1%","outcome":"pass","value":0.0,"unit":"ratio"}],
            "scenarios":[{"name":"runs","elapsed":10.0,"checks":[{"name":"has a body","passes":9,"fails":1}]}]}"#,
        )
        .unwrap();
        let text = xml(&summary).unwrap();
        let root = text.lines().nth(1).unwrap();
        assert!(root.starts_with("<testsuites") && !root.contains("skipped"), "{root}");
        let again = Report::deserialize_from_str(&text).unwrap();
        assert_eq!((again.tests, again.failures, again.errors), (5, 2, 2), "{text}");
        let names: Vec<_> = again.test_suites.iter().map(|suite| (suite.name.as_str(), suite.tests)).collect();
        assert_eq!(names, [("runs", 3), ("nightly", 2)]);
        for part in
            ["a p(95) &lt; 1s &amp; b", "1.5 s", "late &lt;2&gt;", "check: has a body", "held 9 times, failed 1 times"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_pass_has_no_failures() {
        let summary = r#"{"run":{"suite":"n"},"verdict":{"outcome":"pass"},"scenarios":[{"name":"s"}]}"#;
        let text = xml(&Summary::read(summary).unwrap()).unwrap();
        let again = Report::deserialize_from_str(&text).unwrap();
        assert_eq!((again.tests, again.failures, again.errors), (0, 0, 0), "{text}");
    }
}
