//! The parts that charts are made of: lines over an axis, bars, a map of colours; each with its scale, in a frame of its own.

use crate::figures::{Scale, Unit, steps};
use crate::font::{fitted, width};
use crate::surface::{Align, FAINT, GRID, INK, Point, Surface, UNKNOWN, colour, heat, ink_on};

/// Sizes of letters: of titles, of texts, of small texts.
pub const TITLE: f64 = 26.0;
pub const TEXT: f64 = 20.0;
const SMALL: f64 = 18.0;

/// A part of the chart, in pixels.
#[derive(Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Frame {
    /// This frame in so many columns and rows, with gaps: one of these, counted row by row.
    pub fn part(self, number: usize, columns: usize, rows: usize) -> Self {
        let gap = 28.0;
        let size = |all: f64, count: usize| (all + gap) / count.max(1) as f64 - gap;
        let (wide, high) = (size(self.right - self.left, columns), size(self.bottom - self.top, rows));
        let left = self.left + (number % columns.max(1)) as f64 * (wide + gap);
        let top = self.top + (number / columns.max(1)) as f64 * (high + gap);
        Self { left, top, right: left + wide, bottom: top + high }
    }
}

/// A line or the bars of one colour.
pub struct Series {
    /// A value for each place on the axis; none where nothing was measured.
    pub values: Vec<Option<f64>>,
    /// Beside each value, the largest seen: a mark above a bar.
    pub tops: Vec<Option<f64>>,
}

fn largest(series: &[Series]) -> f64 {
    let values = series.iter().flat_map(|it| it.values.iter().chain(&it.tops));
    values.flatten().copied().fold(0.0, f64::max)
}

/// The name of a part and the unit of its scale; `beside` is left free on the right.
fn title(on: &mut dyn Surface, frame: Frame, text: &str, scale: Scale, beside: f64) {
    let unit = if scale.name.is_empty() { String::new() } else { format!(" [{}]", scale.name) };
    let room = frame.right - frame.left - width(&unit, SMALL) * 1.1 - beside;
    let text = fitted(text, TEXT, room);
    on.text((frame.left, frame.top + 10.0), &text, TEXT, INK, Align::Left);
    on.text((frame.left + width(&text, TEXT) * 1.04, frame.top + 10.0), &unit, SMALL, FAINT, Align::Left);
}

/// The field for the data, with the scale on its left drawn.
fn scaled(on: &mut dyn Surface, frame: Frame, steps: &[f64], scale: Scale, below: f64) -> Frame {
    let labels: Vec<String> = steps.iter().map(|step| scale.show(*step)).collect();
    let wide = labels.iter().map(|label| width(label, SMALL)).fold(0.0, f64::max) * 1.1;
    let field = Frame { left: frame.left + wide + 8.0, top: frame.top + 32.0, bottom: frame.bottom - below, ..frame };
    let last = steps.last().copied().unwrap_or(1.0);
    for (step, label) in steps.iter().zip(&labels) {
        let y = field.bottom - step / last * (field.bottom - field.top);
        on.line(&[(field.left, y), (field.right, y)], if *step == 0.0 { FAINT } else { GRID }, 1);
        on.text((field.left - 6.0, y), label, SMALL, FAINT, Align::Right);
    }
    field
}

/// Draws labels below places of an axis; where they would touch, only some of them.
fn below(on: &mut dyn Surface, labels: &[String], at: impl Fn(usize) -> f64, y: f64, room: f64) {
    let widest = labels.iter().map(|label| width(label, SMALL)).fold(0.0, f64::max) * 1.1 + 6.0;
    let every = (widest / room.max(1.0)).ceil().max(1.0) as usize;
    for (number, label) in labels.iter().enumerate().filter(|(number, _)| number % every == 0) {
        on.text((at(number), y), label, SMALL, FAINT, Align::Center);
    }
}

/// A mark of a series: a shape of its own beside its colour.
fn mark(on: &mut dyn Surface, (x, y): Point, number: usize) {
    let (size, ink) = (5.0, colour(number));
    match number % 4 {
        0 => on.dot((x, y), size, ink),
        1 => on.rect((x - size + 1.0, y - size + 1.0), (x + size - 1.0, y + size - 1.0), ink),
        2 => {
            on.polygon(&[(x, y - size - 1.0), (x + size + 1.0, y + size - 1.0), (x - size - 1.0, y + size - 1.0)], ink)
        }
        _ => on.polygon(&[(x, y - size - 1.0), (x + size + 1.0, y), (x, y + size + 1.0), (x - size - 1.0, y)], ink),
    }
}

/// What the colours stand for, in rows; gives how high that is.
pub fn legend(on: &mut dyn Surface, frame: Frame, what: &str, labels: &[String]) -> f64 {
    let line = 26.0;
    let (mut x, mut y) = (frame.left, frame.top + line / 2.0);
    if !what.is_empty() {
        on.text((x, y), what, TEXT, FAINT, Align::Left);
        x += width(what, TEXT) * 1.1 + 16.0;
    }
    for (number, label) in labels.iter().enumerate() {
        let label = fitted(label, TEXT, 320.0);
        let wide = 26.0 + width(&label, TEXT) * 1.1 + 22.0;
        if x + wide > frame.right && x > frame.left {
            (x, y) = (frame.left, y + line);
        }
        on.line(&[(x, y), (x + 18.0, y)], colour(number), 2);
        mark(on, (x + 9.0, y), number);
        on.text((x + 26.0, y), &label, TEXT, INK, Align::Left);
        x += wide;
    }
    y + line / 2.0 - frame.top
}

/// Lines over the places of an axis.
pub fn lines(on: &mut dyn Surface, frame: Frame, name: &str, axis: (&str, &[String]), series: &[Series], unit: Unit) {
    let (axis, places) = axis;
    let top = largest(series);
    let scale = unit.scale(top);
    title(on, frame, name, scale, 0.0);
    let steps: Vec<f64> = steps(top / scale.one).into_iter().map(|step| step * scale.one).collect();
    let field = scaled(on, frame, &steps, scale, 44.0);
    let last = steps.last().copied().unwrap_or(1.0);
    let each = (field.right - field.left) / places.len().max(1) as f64;
    let x = |number: usize| field.left + each * (number as f64 + 0.5);
    let y = |value: f64| field.bottom - value / last * (field.bottom - field.top);
    below(on, places, x, field.bottom + 13.0, each);
    on.text(((field.left + field.right) / 2.0, field.bottom + 33.0), axis, SMALL, INK, Align::Center);
    for (number, it) in series.iter().enumerate() {
        let mut stretch: Vec<Point> = Vec::new();
        for (place, value) in it.values.iter().enumerate() {
            match value {
                Some(value) => stretch.push((x(place), y(*value))),
                // Nothing is drawn across a cell that was not measured.
                None => {
                    on.line(&std::mem::take(&mut stretch), colour(number), 2);
                }
            }
        }
        on.line(&stretch, colour(number), 2);
    }
    for (number, it) in series.iter().enumerate() {
        for (place, value) in it.values.iter().enumerate() {
            if let Some(value) = value {
                mark(on, (x(place), y(*value)), number);
            }
        }
    }
}

/// Bars in groups, one group for each place; `places` has two rows of labels, the outer ones where they begin.
pub fn bars(on: &mut dyn Surface, frame: Frame, name: &str, places: &Places, series: &[Series], unit: Unit) {
    let top = largest(series);
    let scale = unit.scale(top);
    title(on, frame, name, scale, 0.0);
    let steps: Vec<f64> = steps(top / scale.one).into_iter().map(|step| step * scale.one).collect();
    let field = scaled(on, frame, &steps, scale, places.height());
    let last = steps.last().copied().unwrap_or(1.0);
    let each = (field.right - field.left) / places.inner.len().max(1) as f64;
    let y = |value: f64| field.bottom - value / last * (field.bottom - field.top);
    let wide = (each * 0.8 / series.len().max(1) as f64).min(70.0);
    for (number, it) in series.iter().enumerate() {
        for (place, value) in it.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let middle = field.left + each * (place as f64 + 0.5);
            let left = middle + wide * (number as f64 - series.len() as f64 / 2.0);
            on.rect((left + 1.0, y(*value)), (left + wide - 1.0, field.bottom), colour(number));
            if let Some(top) = it.tops.get(place).copied().flatten() {
                let x = left + wide / 2.0;
                on.line(&[(x, y(*value)), (x, y(top))], INK, 1);
                on.line(&[(x - 4.0, y(top)), (x + 4.0, y(top))], INK, 1);
            }
        }
    }
    places.draw(on, field, each);
}

/// The places of bars or columns: two rows of labels below them.
pub struct Places {
    /// What the inner labels are, and these.
    pub inner_name: String,
    /// One for each place.
    pub inner: Vec<String>,
    /// What the outer labels are; empty without any.
    pub outer_name: String,
    /// Each for as many places.
    pub outer: Vec<(String, usize)>,
}

impl Places {
    fn height(&self) -> f64 {
        match (self.inner_name.is_empty(), self.outer.is_empty()) {
            (true, true) => 26.0,
            (false, true) => 44.0,
            _ => 66.0,
        }
    }

    fn draw(&self, on: &mut dyn Surface, field: Frame, each: f64) {
        below(on, &self.inner, |number| field.left + each * (number as f64 + 0.5), field.bottom + 13.0, each);
        let mut names = vec![self.inner_name.as_str()];
        if !self.outer.is_empty() {
            names.push(self.outer_name.as_str());
            let mut from = 0;
            for (label, count) in &self.outer {
                let (left, right) = (field.left + each * from as f64, field.left + each * (from + count) as f64);
                let y = field.bottom + 24.0;
                on.line(&[(left + 3.0, y), (right - 3.0, y)], FAINT, 1);
                let text = fitted(label, SMALL, right - left);
                on.text(((left + right) / 2.0, y + 11.0), &text, SMALL, FAINT, Align::Center);
                from += count;
            }
        }
        let text = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", below: ");
        let y = field.bottom + self.height() - 11.0;
        on.text(((field.left + field.right) / 2.0, y), &text, SMALL, INK, Align::Center);
    }
}

/// Bars that lie, one for each label.
pub fn lying(on: &mut dyn Surface, frame: Frame, name: &str, labels: &[String], values: &[Option<f64>], unit: Unit) {
    let top = values.iter().flatten().copied().fold(0.0, f64::max);
    let scale = unit.scale(top);
    title(on, frame, name, scale, 0.0);
    let wide = labels.iter().map(|label| width(label, SMALL)).fold(0.0, f64::max) * 1.1;
    let wide = wide.min((frame.right - frame.left) * 0.45);
    let (left, right) = (frame.left + wide + 8.0, frame.right - 70.0);
    let each = ((frame.bottom - frame.top - 30.0) / labels.len().max(1) as f64).min(44.0);
    on.line(&[(left, frame.top + 28.0), (left, frame.top + 32.0 + each * labels.len() as f64)], FAINT, 1);
    for (number, (label, value)) in labels.iter().zip(values).enumerate() {
        let y = frame.top + 30.0 + each * (number as f64 + 0.5);
        on.text((left - 6.0, y), &fitted(label, SMALL, wide), SMALL, INK, Align::Right);
        let Some(value) = value else {
            on.text((left + 6.0, y), "nothing measured", SMALL, FAINT, Align::Left);
            continue;
        };
        let end = left + if top > 0.0 { value / top * (right - left) } else { 0.0 };
        on.rect((left, y - each * 0.35), (end, y + each * 0.35), colour(0));
        on.text((end + 6.0, y), &scale.show(*value), SMALL, INK, Align::Left);
    }
}

/// A map of colours: the darkest for nothing, the lightest for the largest value.
pub struct Map<'a> {
    pub name: &'a str,
    /// What the rows and columns are.
    pub rows: (&'a str, &'a [String]),
    pub columns: &'a Places,
    /// Row by row; none where nothing was measured.
    pub values: Vec<Vec<Option<f64>>>,
    /// Texts in place of the values'.
    pub texts: Option<Vec<Vec<String>>>,
    pub unit: Unit,
    /// Colours by the size's order, where values differ by orders.
    pub logarithmic: bool,
}

impl Map<'_> {
    pub fn draw(&self, on: &mut dyn Surface, frame: Frame) {
        let top = self.values.iter().flatten().flatten().copied().fold(0.0, f64::max);
        let scale = self.unit.scale(top);
        let key = self.key(on, frame, top, scale);
        title(on, frame, self.name, scale, key);
        let (name, labels) = self.rows;
        let wide = labels.iter().map(|label| width(label, SMALL)).fold(0.0, f64::max) * 1.1;
        let wide = wide.min((frame.right - frame.left) * 0.4);
        let field = Frame {
            left: frame.left + wide + 10.0,
            top: frame.top + if name.is_empty() { 30.0 } else { 48.0 },
            right: frame.right,
            bottom: frame.bottom - self.columns.height(),
        };
        on.text((frame.left, frame.top + 34.0), name, SMALL, INK, Align::Left);
        let high = ((field.bottom - field.top) / labels.len().max(1) as f64).min(90.0);
        let field = Frame { bottom: field.top + high * labels.len() as f64, ..field };
        let each = (field.right - field.left) / self.columns.inner.len().max(1) as f64;
        for (row, label) in labels.iter().enumerate() {
            let y = field.top + high * (row as f64 + 0.5);
            on.text((field.left - 8.0, y), &fitted(label, SMALL, wide), SMALL, INK, Align::Right);
            for (column, value) in self.values.get(row).into_iter().flatten().enumerate() {
                let x = field.left + each * column as f64;
                let ground = value.map_or(UNKNOWN, |value| heat(self.share(value, top)));
                on.rect((x + 1.0, y - high / 2.0 + 1.0), (x + each - 1.0, y + high / 2.0 - 1.0), ground);
                let own = self.texts.as_ref().and_then(|texts| texts.get(row)?.get(column).cloned());
                let text = own.unwrap_or_else(|| value.map_or_else(|| "–".to_owned(), |value| scale.show(value)));
                if width(&text, SMALL) * 1.1 < each - 4.0 && high >= 17.0 {
                    on.text((x + each / 2.0, y), &text, SMALL, ink_on(ground), Align::Center);
                }
            }
        }
        self.columns.draw(on, field, each);
    }

    /// Which colours stand for how much, at the right of the title; gives how wide that is.
    fn key(&self, on: &mut dyn Surface, frame: Frame, top: f64, scale: Scale) -> f64 {
        let (least, most) = (if self.logarithmic { "1" } else { "0" }, scale.show(top));
        let (bar, y) = (64.0, frame.top + 10.0);
        let right = frame.right - width(&most, SMALL) * 1.1 - 6.0;
        on.text((frame.right, y), &most, SMALL, FAINT, Align::Right);
        for step in 0..16 {
            let (from, to) = (f64::from(step) / 16.0, f64::from(step + 1) / 16.0);
            on.rect((right - bar * (1.0 - from), y - 5.0), (right - bar * (1.0 - to), y + 5.0), heat(from));
        }
        on.text((right - bar - 6.0, y), least, SMALL, FAINT, Align::Right);
        frame.right - right + bar + 26.0
    }

    fn share(&self, value: f64, top: f64) -> f64 {
        match self.logarithmic {
            true if top > 1.0 => (value.max(1.0).ln() / top.ln()).clamp(0.0, 1.0),
            _ if top > 0.0 => value / top,
            _ => 0.0,
        }
    }
}
