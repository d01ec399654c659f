//! The charts: which there are, what each shows, and why one is left out.

use crate::figures::{Unit, digits};
use crate::model::{Figures, Model, Requests, Side};
use crate::panels::{Frame, Map, Places, Series, TITLE, bars, legend, lines, lying};
use crate::surface::{Align, INK, Surface};
use kperf_plugin_sdk::summary::Usage;

/// A chart that can be drawn.
pub struct Chart<'a> {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    draw: Draw<'a>,
}

/// Draws what is below the title.
type Draw<'a> = Box<dyn Fn(&mut dyn Surface, Frame) + 'a>;

/// A chart that has nothing to show, and why.
pub struct Missing {
    /// The file's name without its ending.
    pub name: String,
    /// The reason, for the page: `the matrix has one axis only`.
    pub why: String,
}

const MARGIN: f64 = 28.0;

impl Chart<'_> {
    /// Draws the whole chart.
    pub fn draw(&self, on: &mut dyn Surface) {
        let (wide, high) = (f64::from(self.size.0), f64::from(self.size.1));
        on.text((MARGIN, MARGIN + 4.0), &self.title, TITLE, INK, Align::Left);
        let frame = Frame { left: MARGIN, top: MARGIN + 30.0, right: wide - MARGIN, bottom: high - MARGIN };
        (self.draw)(on, frame);
    }
}

type Made<'a> = Result<Chart<'a>, Missing>;

/// All charts of a model, those that have nothing to show with the reason.
pub fn charts(model: &Model) -> Vec<Made<'_>> {
    let mut all = vec![dashboard(model)];
    let axes = [(&model.first, &model.second, Turn::Plain), (&model.second, &model.first, Turn::Across)];
    for (axis, other, turn) in axes {
        all.extend(axis.as_ref().map(|axis| response_times_by(model, axis, other.as_ref(), turn)));
    }
    all.push(throughput_map(model));
    all.push(p95_map(model));
    all.push(passed_counts(model));
    all.push(utilization(model, "cpu", Unit::Cores, Figures::cpu));
    all.push(utilization(model, "memory", Unit::Bytes, Figures::memory));
    for (axis, other, turn) in axes {
        all.extend(axis.as_ref().map(|axis| cpu_by(model, axis, other.as_ref(), turn)));
    }
    all
}

/// Which axis of the model lies along the chart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The first.
    Plain,
    /// The second.
    Across,
}

fn at(model: &Model, turn: Turn, place: usize, series: usize) -> Option<&Figures> {
    model.points.get(&if turn == Turn::Plain { (place, series) } else { (series, place) })
}

fn file_name(model: &Model, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_=,".contains(c) { c } else { '_' };
    let fixed = if model.fixed.is_empty() { String::new() } else { format!("_{}", model.fixed) };
    format!("chart_{name}{fixed}").chars().map(plain).collect()
}

fn titled(model: &Model, what: &str) -> String {
    let fixed = if model.fixed.is_empty() { String::new() } else { format!(", {}", model.fixed) };
    format!("{}: {what}{fixed}", model.suite)
}

fn missing<'a>(model: &Model, name: &str, why: &str) -> Made<'a> {
    Err(Missing { name: file_name(model, name), why: why.to_owned() })
}

fn chart<'a>(
    model: &Model,
    name: &str,
    what: &str,
    size: (u32, u32),
    draw: impl Fn(&mut dyn Surface, Frame) + 'a,
) -> Made<'a> {
    Ok(Chart { name: file_name(model, name), title: titled(model, what), size, draw: Box::new(draw) })
}

/// Columns and rows for so many panels, and the size of all.
fn grid(panels: usize) -> (usize, usize, (u32, u32)) {
    let columns = match panels {
        0..=1 => 1,
        2..=4 => 2,
        5..=9 => 3,
        _ => 4,
    };
    let rows = panels.div_ceil(columns);
    let wide = if columns == 1 { 900 } else { 460 * columns };
    let high = if columns == 1 { 520 } else { 290 * rows };
    (columns, rows, (u32::try_from(wide).unwrap_or(900), u32::try_from(high).unwrap_or(600) + 140))
}

/// A series for each value of the other axis; a single one if there is none.
fn series_of(
    model: &Model,
    axis: &Side,
    other: Option<&Side>,
    turn: Turn,
    value: impl Fn(&Figures) -> Option<f64>,
) -> Vec<Series> {
    let one = |number| {
        let of = |place| at(model, turn, place, number).and_then(&value);
        Series { values: (0..axis.values.len()).map(of).collect(), tops: Vec::new() }
    };
    (0..other.map_or(1, |other| other.values.len())).map(one).collect()
}

/// The legend of another axis above the panels; gives the frame that is left.
fn with_legend(on: &mut dyn Surface, frame: Frame, other: Option<&Side>) -> Frame {
    let Some(other) = other else { return frame };
    let high = legend(on, frame, &format!("{}:", other.name), &other.values);
    Frame { top: frame.top + high + 12.0, ..frame }
}

fn dashboard(model: &Model) -> Made<'_> {
    const NAME: &str = "summary_dashboard";
    if model.operations.is_empty() {
        return missing(model, NAME, "no request was measured");
    }
    let what = format!("throughput, requests and failures (verdict: {})", model.outcome);
    type Of = fn(Requests) -> Option<f64>;
    let failed: Of = |it| (it.count > 0.0).then(|| it.failed / it.count);
    let panels: [(&str, Unit, Of); 4] = [
        ("Requests", Unit::PerSecond, |it| Some(it.rate)),
        ("Requests in total", Unit::Count, |it| Some(it.count)),
        ("Failed requests", Unit::Share, failed),
        ("95th percentile of the slowest operation", Unit::Seconds, |it| it.p95),
    ];
    let Some(axis) = &model.first else {
        let high = 2 * (90 + 30 * u32::try_from(model.operations.len()).unwrap_or(15).max(3)) + 60;
        return chart(model, NAME, &what, (1400, high), move |on, frame| {
            let figures = model.points.values().next();
            for (number, (name, unit, of)) in panels.iter().enumerate() {
                let values: Vec<Option<f64>> =
                    model.operations.iter().map(|it| figures.and_then(|f| f.operation(it)).and_then(of)).collect();
                let name = if *unit == Unit::Seconds { "95th percentile" } else { name };
                lying(on, frame.part(number, 2, 2), name, &model.operations, &values, *unit);
            }
        });
    };
    chart(model, NAME, &what, (1400, 860), move |on, frame| {
        let frame = with_legend(on, frame, model.second.as_ref());
        for (number, (name, unit, of)) in panels.iter().enumerate() {
            let series = series_of(model, axis, model.second.as_ref(), Turn::Plain, |it| of(it.all()));
            lines(on, frame.part(number, 2, 2), name, (&axis.name, &axis.values), &series, *unit);
        }
    })
}

fn response_times_by<'a>(model: &'a Model, axis: &'a Side, other: Option<&'a Side>, turn: Turn) -> Made<'a> {
    let name = format!("response_times_by_{}", axis.name);
    let timed: Vec<&String> =
        model.operations.iter().filter(|it| model.points.values().any(|of| p95(of, it).is_some())).collect();
    if timed.is_empty() {
        return missing(model, &name, "no response time was measured");
    }
    let (columns, rows, size) = grid(timed.len());
    let what = format!("95th percentile of the response time by {}", axis.name);
    chart(model, &name, &what, size, move |on, frame| {
        let frame = with_legend(on, frame, other);
        for (number, operation) in timed.iter().enumerate() {
            let series = series_of(model, axis, other, turn, |it| p95(it, operation));
            let panel = frame.part(number, columns, rows);
            lines(on, panel, operation, (&axis.name, &axis.values), &series, Unit::Seconds);
        }
    })
}

fn p95(figures: &Figures, operation: &str) -> Option<f64> {
    figures.operation(operation)?.p95
}

/// The columns of a map: the values of an axis.
fn columns_of(axis: &Side) -> Places {
    Places { inner_name: axis.name.clone(), inner: axis.values.clone(), outer_name: String::new(), outer: Vec::new() }
}

fn map_values(
    model: &Model,
    first: &Side,
    second: &Side,
    of: impl Fn(&Figures) -> Option<f64>,
) -> Vec<Vec<Option<f64>>> {
    let row = |y| (0..first.values.len()).map(|x| at(model, Turn::Plain, x, y).and_then(&of)).collect();
    (0..second.values.len()).map(row).collect()
}

const ONE_AXIS: &str = "a map needs two axes";

fn throughput_map(model: &Model) -> Made<'_> {
    const NAME: &str = "throughput_heatmap";
    let (Some(first), Some(second)) = (&model.first, &model.second) else { return missing(model, NAME, ONE_AXIS) };
    if model.operations.is_empty() {
        return missing(model, NAME, "no request was measured");
    }
    let high = 200 + 80 * u32::try_from(second.values.len()).unwrap_or(1).min(10);
    chart(model, NAME, "requests per second, all operations", (900, high), move |on, frame| {
        let columns = columns_of(first);
        let map = Map {
            name: "Throughput",
            rows: (&second.name, &second.values),
            columns: &columns,
            values: map_values(model, first, second, |it| Some(it.all().rate)),
            texts: None,
            unit: Unit::PerSecond,
            logarithmic: false,
        };
        map.draw(on, frame);
    })
}

fn p95_map(model: &Model) -> Made<'_> {
    const NAME: &str = "response_times_p95_heatmap";
    let (Some(first), Some(second)) = (&model.first, &model.second) else { return missing(model, NAME, ONE_AXIS) };
    let timed: Vec<&String> =
        model.operations.iter().filter(|it| model.points.values().any(|of| p95(of, it).is_some())).collect();
    if timed.is_empty() {
        return missing(model, NAME, "no response time was measured");
    }
    let (columns, rows, size) = grid(timed.len());
    let what = "95th percentile of the response time; colours within each operation";
    chart(model, NAME, what, size, move |on, frame| {
        let places = columns_of(first);
        for (number, operation) in timed.iter().enumerate() {
            let map = Map {
                name: operation,
                rows: (&second.name, &second.values),
                columns: &places,
                values: map_values(model, first, second, |it| p95(it, operation)),
                texts: None,
                unit: Unit::Seconds,
                logarithmic: false,
            };
            map.draw(on, frame.part(number, columns, rows));
        }
    })
}

/// All combinations as places, the second axis within the first.
fn places_of(model: &Model) -> (Places, Vec<(usize, usize)>) {
    let empty = || Side { name: String::new(), values: vec![String::new()] };
    let first = model.first.clone().unwrap_or_else(empty);
    let at = |x: usize, y: usize| (x, y);
    match &model.second {
        None => {
            let keys = (0..first.values.len()).map(|x| at(x, 0)).collect();
            (columns_of(&first), keys)
        }
        Some(second) => {
            let keys = (0..first.values.len()).flat_map(|x| (0..second.values.len()).map(move |y| (x, y))).collect();
            let places = Places {
                inner_name: second.name.clone(),
                inner: first.values.iter().flat_map(|_| second.values.clone()).collect(),
                outer_name: first.name.clone(),
                outer: first.values.iter().map(|value| (value.clone(), second.values.len())).collect(),
            };
            (places, keys)
        }
    }
}

fn passed_counts(model: &Model) -> Made<'_> {
    const NAME: &str = "passed_counts";
    if model.operations.is_empty() {
        return missing(model, NAME, "no request was measured");
    }
    let (places, keys) = places_of(model);
    let wide = (260 + 86 * keys.len()).clamp(760, 2000);
    let high = 190 + 36 * model.operations.len();
    let size = (u32::try_from(wide).unwrap_or(2000), u32::try_from(high).unwrap_or(900));
    let what = "requests with the expected answer (and without it)";
    chart(model, NAME, what, size, move |on, frame| {
        let of = |operation: &str, key: &(usize, usize)| model.points.get(key).and_then(|it| it.operation(operation));
        let passed = |operation: &String| {
            keys.iter().map(|key| of(operation, key).map(|it| it.count - it.failed)).collect::<Vec<_>>()
        };
        let text = |operation: &String| {
            let one = |key| match of(operation, key) {
                None => "–".to_owned(),
                Some(it) if it.failed > 0.0 => format!("{} ({})", digits(it.count - it.failed), digits(it.failed)),
                Some(it) => digits(it.count),
            };
            keys.iter().map(one).collect::<Vec<_>>()
        };
        let map = Map {
            name: "Failed ones in brackets; colours by order of magnitude",
            rows: ("", &model.operations),
            columns: &places,
            values: model.operations.iter().map(passed).collect(),
            texts: Some(model.operations.iter().map(text).collect()),
            unit: Unit::Count,
            logarithmic: true,
        };
        map.draw(on, frame);
    })
}

type Used = fn(&Figures, &str) -> Option<Usage>;

fn components_with(model: &Model, used: Used) -> Vec<String> {
    let has = |it: &&String| model.points.values().any(|of| used(of, it).is_some());
    model.components.iter().filter(has).cloned().collect()
}

fn utilization<'a>(model: &'a Model, what: &str, unit: Unit, used: Used) -> Made<'a> {
    let name = format!("{what}_utilization");
    let components = components_with(model, used);
    if components.is_empty() {
        return missing(model, &name, &format!("no collector gave the metric component_{what}"));
    }
    let (places, keys) = places_of(model);
    let wide = (300 + 26 * keys.len() * components.len()).clamp(900, 2000);
    let shown = if unit == Unit::Cores { "CPU" } else { "memory" };
    let title = format!("{shown} by component; bars are means, marks the largest values");
    chart(model, &name, &title, (u32::try_from(wide).unwrap_or(2000), 620), move |on, frame| {
        let high = legend(on, frame, "", &components);
        let frame = Frame { top: frame.top + high + 12.0, ..frame };
        let of = |component: &String| {
            let usage: Vec<Option<Usage>> =
                keys.iter().map(|key| model.points.get(key).and_then(|it| used(it, component))).collect();
            Series {
                values: usage.iter().map(|it| it.map(|it| it.mean)).collect(),
                tops: usage.iter().map(|it| it.map(|it| it.max)).collect(),
            }
        };
        let series: Vec<Series> = components.iter().map(of).collect();
        let name = if unit == Unit::Cores { "CPU" } else { "Memory" };
        bars(on, frame, name, &places, &series, unit);
    })
}

fn cpu_by<'a>(model: &'a Model, axis: &'a Side, other: Option<&'a Side>, turn: Turn) -> Made<'a> {
    let name = format!("cpu_by_{}", axis.name);
    let components = components_with(model, Figures::cpu);
    if components.is_empty() {
        return missing(model, &name, "no collector gave the metric component_cpu");
    }
    let (columns, rows, size) = grid(components.len());
    chart(model, &name, &format!("CPU by {}, means", axis.name), size, move |on, frame| {
        let frame = with_legend(on, frame, other);
        for (number, component) in components.iter().enumerate() {
            let series = series_of(model, axis, other, turn, |it| it.cpu(component).map(|it| it.mean));
            let panel = frame.part(number, columns, rows);
            lines(on, panel, component, (&axis.name, &axis.values), &series, Unit::Cores);
        }
    })
}
