//! The charts of made-up results: all are there, say what they should, and no two texts lie on each other.
//! `KPERF_CHARTS=FOLDER` writes them there, to be looked at.

use plotters::style::RGBColor;
use serde_json::{Value, json};

use super::*;
use crate::charts::{Missing, charts};
use crate::surface::{Align, Point, Surface};

const OPERATIONS: [&str; 15] = [
    "create_experiment",
    "create_prompt",
    "create_prompt_version",
    "create_run",
    "log_metric",
    "log_parameter",
    "log_artifact",
    "update_run_status",
    "search_prompts",
    "search_experiments",
    "get_experiment",
    "search_runs",
    "get_run",
    "list_artifacts",
    "fetch_artifact",
];

/// A matrix of these values with 15 operations and three components.
fn matrix(tenants: &[u32], concurrency: &[u32]) -> Value {
    let (mut cells, mut scenarios) = (Vec::new(), Vec::new());
    for (x, tenant) in tenants.iter().enumerate() {
        for (y, users) in concurrency.iter().enumerate() {
            let number = x * concurrency.len() + y + 1;
            let load = (f64::from(*tenant).ln() + 1.0) * f64::from(*users);
            let operations: Vec<Value> = OPERATIONS
                .iter()
                .enumerate()
                .map(|(at, name)| {
                    let p95 = 0.004 * (at as f64 + 1.0) * (1.0 + load / 40.0);
                    json!({"operation": name, "count": 300 * (at + 1), "failures": if at == 3 { x * 7 } else { 0 },
                       "rate": f64::from(*users) * 1.7 / (1.0 + load / 200.0), "duration": {"p95": p95}})
                })
                .collect();
            let label = format!("mixed [tenants={tenant},concurrency={users}]");
            scenarios.push(json!({"name": label, "cell": number, "operations": operations}));
            let component = |name: &str, cpu: f64, memory: f64| {
                json!({"component": name,
                "cpu": {"mean": cpu * load / 30.0, "max": cpu * load / 20.0}, "memory": {"mean": memory, "max": memory * 1.2}})
            };
            cells.push(json!({"number": number, "values": {"tenants": tenant, "concurrency": users},
                "components": [component("mlflow", 1.5, 9e8), component("postgres", 0.7, 4e8), component("gateway", 0.2, 1e8)]}));
        }
    }
    json!({"run": {"suite": "mlflow-scale"}, "verdict": {"outcome": "pass"}, "scenarios": scenarios, "cells": {
        "axes": [{"name": "tenants", "values": tenants}, {"name": "concurrency", "values": concurrency}], "cells": cells}})
}

fn single() -> Value {
    let operations: Vec<Value> = OPERATIONS.iter().enumerate()
        .map(|(at, name)| json!({"operation": name, "count": 10 * at, "failures": 0, "rate": at, "duration": if at == 0 { Value::Null } else { json!({"p95": 0.01 * at as f64}) }}))
        .collect();
    let metric = |name: &str, value: f64| json!({"name": name, "tags": {"component": "mlflow"}, "mean": value, "max": value * 2.0});
    json!({"run": {"suite": "quick"}, "verdict": {"outcome": "fail"}, "scenarios": [{"name": "mixed", "operations": operations}],
           "metrics": [metric("component_cpu", 0.5), metric("component_memory", 1e9)]})
}

/// Draws everything and keeps what it drew: texts with their boxes, and how many shapes.
fn drawn(summary: &Value, axes: &[&str]) -> (Vec<String>, Vec<Missing>) {
    let summary: Summary = serde_json::from_value(summary.clone()).unwrap();
    let axes: Vec<String> = axes.iter().map(|&axis| axis.to_owned()).collect();
    let (models, _) = model::models(&summary, &axes);
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for made in models.iter().flat_map(charts) {
        let chart = match made {
            Ok(chart) => chart,
            Err(left_out) => {
                missing.push(left_out);
                continue;
            }
        };
        let mut paper = Paper::default();
        chart.draw(&mut paper);
        paper.check(&chart.name, chart.size);
        if let Some(folder) = std::env::var_os("KPERF_CHARTS") {
            let count = summary.cells.as_ref().map_or(0, |cells| cells.cells.len());
            let folder = std::path::Path::new(&folder).join(format!("{count} cells"));
            std::fs::create_dir_all(&folder).unwrap();
            let png = surface::png(chart.size, |on| chart.draw(on)).unwrap();
            std::fs::write(folder.join(format!("{}.png", chart.name)), png).unwrap();
            let svg = surface::svg(chart.size, |on| chart.draw(on));
            std::fs::write(folder.join(format!("{}.svg", chart.name)), svg).unwrap();
        }
        names.push(chart.name);
    }
    (names, missing)
}

#[derive(Default)]
struct Paper {
    texts: Vec<(String, Point, Point)>,
    shapes: u32,
}

impl Surface for Paper {
    fn rect(&mut self, _: Point, _: Point, _: RGBColor) {
        self.shapes += 1;
    }

    fn line(&mut self, _: &[Point], _: RGBColor, _: u32) {
        self.shapes += 1;
    }

    fn polygon(&mut self, _: &[Point], _: RGBColor) {
        self.shapes += 1;
    }

    fn dot(&mut self, _: Point, _: f64, _: RGBColor) {
        self.shapes += 1;
    }

    fn text(&mut self, (x, y): Point, text: &str, size: f64, _: RGBColor, align: Align) {
        let wide = font::width(text, size);
        let left = match align {
            Align::Left => x,
            Align::Center => x - wide / 2.0,
            Align::Right => x - wide,
        };
        let high = size * 0.33;
        self.texts.push((text.to_owned(), (left, y - high), (left + wide, y + high)));
    }
}

impl Paper {
    fn check(&self, chart: &str, size: (u32, u32)) {
        assert!(self.shapes > 0, "{chart} is empty");
        let (wide, high) = (f64::from(size.0), f64::from(size.1));
        for (number, (text, from, to)) in self.texts.iter().enumerate() {
            assert!(from.0 >= 0.0 && from.1 >= 0.0 && to.0 <= wide && to.1 <= high, "{chart}: `{text}` is outside");
            for (other, low, up) in self.texts.iter().skip(number + 1) {
                let apart = to.0 <= low.0 || up.0 <= from.0 || to.1 <= low.1 || up.1 <= from.1;
                assert!(
                    apart || text.is_empty() || other.is_empty(),
                    "{chart}: `{text}` and `{other}` lie on each other"
                );
            }
        }
    }
}

#[test]
fn a_matrix_has_its_ten_charts() {
    let (names, missing) = drawn(&matrix(&[1, 10, 100, 500], &[5, 10, 20]), &[]);
    assert_eq!(
        names,
        [
            "chart_summary_dashboard",
            "chart_response_times_by_tenants",
            "chart_response_times_by_concurrency",
            "chart_throughput_heatmap",
            "chart_response_times_p95_heatmap",
            "chart_passed_counts",
            "chart_cpu_utilization",
            "chart_memory_utilization",
            "chart_cpu_by_tenants",
            "chart_cpu_by_concurrency",
        ]
    );
    assert!(missing.is_empty());
}

#[test]
fn large_and_small_matrices_stay_readable() {
    let many: Vec<u32> = (1..=12).map(|step| step * 1000).collect();
    assert_eq!(drawn(&matrix(&many, &many), &["concurrency"]).0.len(), 10);
    assert_eq!(drawn(&matrix(&[1], &[5]), &[]).0.len(), 10);
}

#[test]
fn a_run_without_a_matrix_has_fewer_and_says_which_are_missing() {
    let (names, missing) = drawn(&single(), &[]);
    assert_eq!(
        names,
        ["chart_summary_dashboard", "chart_passed_counts", "chart_cpu_utilization", "chart_memory_utilization"]
    );
    let missing: Vec<&str> = missing.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(missing, ["chart_throughput_heatmap", "chart_response_times_p95_heatmap"]);
    let (names, missing) = drawn(
        &json!({"cells": {"axes": [{"name": "a", "values": [1]}], "cells": [{"number": 1, "values": {"a": 1}}]}}),
        &[],
    );
    assert_eq!((names.len(), missing.len()), (0, 8));
}

#[test]
fn of_several_repeats_the_mean_is_drawn_and_further_axes_have_charts_of_their_own() {
    let operation =
        |p95: f64| json!([{"operation": "o", "count": 4, "failures": 1, "rate": p95 * 10.0, "duration": {"p95": p95}}]);
    let cell = |number: u32, kind: &str| json!({"number": number, "values": {"a": 1, "b": 2, "kind": kind}});
    let summary = json!({
        "cells": {"axes": [{"name": "a", "values": [1]}, {"name": "b", "values": [2]}, {"name": "kind", "values": ["x", "y"]}],
                  "cells": [cell(1, "x"), cell(2, "y"), cell(3, "x"), cell(4, "y")]},
        "scenarios": [{"name": "s [x]", "cell": 1, "operations": operation(1.0)}, {"name": "s [x]", "cell": 3, "operations": operation(3.0)},
                      {"name": "s [y]", "cell": 2, "operations": operation(5.0)}]});
    let parsed: Summary = serde_json::from_value(summary.clone()).unwrap();
    let (models, notes) = model::models(&parsed, &["missing".to_owned()]);
    assert_eq!(notes, ["the matrix has no axis `missing`"]);
    let all: Vec<_> = models.iter().map(|model| (model.fixed.as_str(), model.points[&(0, 0)].all())).collect();
    assert_eq!((all[0].0, all[0].1.p95, all[0].1.rate, all[0].1.count), ("kind=x", Some(2.0), 20.0, 4.0));
    assert_eq!((all[1].0, all[1].1.p95), ("kind=y", Some(5.0)));
    let (names, _) = drawn(&summary, &[]);
    assert!(names.contains(&"chart_throughput_heatmap_kind=x".to_owned()), "{names:?}");
}

#[test]
fn both_forms_are_drawn() {
    let summary: Summary = serde_json::from_value(matrix(&[1, 10], &[2, 5])).unwrap();
    let (models, _) = model::models(&summary, &[]);
    let all = charts(&models[0]);
    let chart = all.iter().flatten().find(|chart| chart.name == "chart_response_times_by_tenants").unwrap();
    let svg = String::from_utf8(surface::svg(chart.size, |on| chart.draw(on))).unwrap();
    assert!(svg.starts_with("<svg") && OPERATIONS.iter().all(|name| svg.contains(name)), "{svg}");
    let png = tiny_skia::Pixmap::decode_png(&surface::png(chart.size, |on| chart.draw(on)).unwrap()).unwrap();
    assert_eq!((png.width(), png.height()), chart.size);
    let blue =
        |pixel: &&tiny_skia::PremultipliedColorU8| (pixel.red(), pixel.green(), pixel.blue()) == (0x00, 0x72, 0xb2);
    assert!(png.pixels().iter().filter(blue).count() > 100, "lines of the first colour");
}
