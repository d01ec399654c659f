//! Writes the result as CSV, for spreadsheets: a row per scenario and operation.
//!
//! In comes the text of `summary.json`; out goes one file in the run's folder (RFC 4180, UTF-8, times in seconds).

use kperf_plugin_sdk::{
    Description, Failure, Reporter, Reporting, artifacts::OneFile, export_reporter, summary::Summary,
};
use serde::Serialize;

/// The file that it writes.
pub struct CsvReporter {
    file: OneFile,
}

/// A row; its fields are the columns. What is not known is empty.
#[derive(Serialize)]
struct Row<'a> {
    run: &'a str,
    suite: &'a str,
    start: &'a str,
    outcome: &'a str,
    scenario: &'a str,
    operation: &'a str,
    count: u64,
    failures: u64,
    rate: f64,
    mean: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Reporter for CsvReporter {
    fn describe() -> Description {
        Description::new("csv-reporter", env!("CARGO_PKG_VERSION"), "Writes a row per operation as CSV").mode(
            "file",
            OneFile::MODE,
            &OneFile::parameters("operations.csv"),
        )
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { file: reporting.params()? })
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let text = rows(&Summary::read(&summary)?)
            .map_err(|error| Failure::new("csv", format!("the result can't be written as CSV: {error}")))?;
        self.file.write(text).await
    }
}

fn rows(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for scenario in &summary.scenarios {
        for operation in &scenario.operations {
            let spread = operation.duration;
            writer.serialize(Row {
                run: &summary.run.id,
                suite: &summary.run.suite,
                start: &summary.run.start,
                outcome: &summary.verdict.outcome,
                scenario: &scenario.name,
                operation: &operation.operation,
                count: operation.count,
                failures: operation.failures,
                rate: operation.rate,
                mean: spread.map(|it| it.mean),
                p50: spread.map(|it| it.p50),
                p90: spread.map(|it| it.p90),
                p95: spread.map(|it| it.p95),
                p99: spread.map(|it| it.p99),
                max: spread.map(|it| it.max),
            })?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

export_reporter!(CsvReporter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_is_a_row() {
        let summary = r#"{"run":{"id":"r1","suite":"a, b","start":"2026-11-26T01:00:00.000Z"},"verdict":{"outcome":"pass"},
            "scenarios":[{"name":"s \"1\"","operations":[{"operation":"get","count":3,"failures":1,"rate":1.5,
              "duration":{"mean":0.25,"p50":0.2,"p90":0.3,"p95":0.4,"p99":0.5,"max":0.6}},{"operation":"put"}]}]}"#;
        let text = String::from_utf8(rows(&Summary::read(summary).unwrap()).unwrap()).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "run,suite,start,outcome,scenario,operation,count,failures,rate,mean,p50,p90,p95,p99,max",
                "r1,\"a, b\",2026-11-26T01:00:00.000Z,pass,\"s \"\"1\"\"\",get,3,1,1.5,0.25,0.2,0.3,0.4,0.5,0.6",
                "r1,\"a, b\",2026-11-26T01:00:00.000Z,pass,\"s \"\"1\"\"\",put,0,0,0.0,,,,,,",
            ]
        );
    }
}
