//! Draws the result as charts, each as PNG and as SVG, in the run's folder.
//!
//! In comes the text of `summary.json`, of a single run or of a matrix as a whole; out go files and a page that lists them, and
//! names those that had nothing to show. It reads of the summary what it shows and ignores the rest, so a newer host's summary
//! still works. What knows a chart is in `charts`, what knows how a part of one looks in `panels`, what draws in `surface`.

mod charts;
mod figures;
mod font;
mod model;
mod panels;
mod skia;
mod surface;

use std::fmt::Write as _;

use kperf_plugin_sdk::{Description, Failure, Reporter, Reporting, artifacts, export_reporter, log, summary::Summary};
use serde::Deserialize;

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "axes": {
      "description": "The axes of the matrix that the charts are drawn over, at most two. Without any, the first two. Every combination of the others has charts of its own.",
      "type": "array", "items": { "type": "string", "minLength": 1 }, "maxItems": 2, "default": []
    },
    "each_cell": {
      "description": "Draw charts for each cell of a matrix, too, and not only for all together.",
      "type": "boolean", "default": false
    }
  }
}"#;

/// Which charts the suite wants.
pub struct ChartsReporter {
    params: Params,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    axes: Vec<String>,
    each_cell: bool,
}

impl Reporter for ChartsReporter {
    fn describe() -> Description {
        Description::new("charts-reporter", env!("CARGO_PKG_VERSION"), "Draws the result as charts, PNG and SVG").mode(
            "files",
            "A file per chart in the run's folder",
            PARAMETERS,
        )
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { params: reporting.params()? })
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let summary = Summary::read(&summary)?;
        if summary.run.cell.is_some() && !self.params.each_cell {
            return Ok(());
        }
        let (models, notes) = model::models(&summary, &self.params.axes);
        let mut page = format!("# {}\n", summary.run.suite);
        let mut left_out = notes;
        for model in &models {
            for chart in charts::charts(model) {
                match chart {
                    Ok(chart) => {
                        let svg = surface::svg(chart.size, |on| chart.draw(on));
                        artifacts::write(&format!("{}.svg", chart.name), svg).await?;
                        let png = surface::png(chart.size, |on| chart.draw(on))?;
                        artifacts::write(&format!("{}.png", chart.name), png).await?;
                        // Writing into a string does not fail.
                        let _ = write!(page, "\n![{}]({}.png)\n", chart.title, chart.name);
                    }
                    Err(missing) => left_out.push(format!("{}: {}", missing.name, missing.why)),
                }
            }
        }
        if !left_out.is_empty() {
            let _ =
                write!(page, "\nLeft out:\n\n{}\n", left_out.iter().map(|it| format!("- {it}\n")).collect::<String>());
            log::info(&format!("left out: {}", left_out.join("; ")));
        }
        artifacts::write("charts.md", page).await
    }
}

export_reporter!(ChartsReporter);

#[cfg(test)]
mod tests;
