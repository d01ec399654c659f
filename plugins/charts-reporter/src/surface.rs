//! What charts are drawn on: a few shapes and texts, put by plotters onto a bitmap or into an SVG.

use kperf_plugin_sdk::Failure;
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::colors::colormaps::{ColorMap as _, ViridisRGB};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, TextStyle};

use crate::{font, skia};

/// A place, in pixels from the left and the top.
pub type Point = (f64, f64);

/// Ink for texts.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Ink for what matters less.
pub const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Lines behind the data.
pub const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Nothing was measured.
pub const UNKNOWN: RGBColor = RGBColor(0xee, 0xee, 0xee);

/// The palette of Okabe and Ito (*Color Universal Design*, 2008), told apart also by those who do not see all colours; the
/// yellow, weak on white, comes last.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0xf0, 0xe4, 0x42),
];

/// The colour of the series with this number.
pub fn colour(number: usize) -> RGBColor {
    PALETTE.get(number % PALETTE.len()).copied().unwrap_or(INK)
}

/// The colour of a share of the largest value.
pub fn heat(share: f64) -> RGBColor {
    ViridisRGB.get_color(share.clamp(0.0, 1.0) as f32)
}

/// The ink that can be read on a colour.
pub fn ink_on(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let light = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
    if light > 140.0 { INK } else { RGBColor(0xff, 0xff, 0xff) }
}

/// Which end of a text is at its place; its middle is at its height.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// It begins there.
    Left,
    /// Its middle is there.
    Center,
    /// It ends there.
    Right,
}

/// Something to draw on.
pub trait Surface {
    /// A filled rectangle.
    fn rect(&mut self, from: Point, to: Point, colour: RGBColor);
    /// A line through points.
    fn line(&mut self, points: &[Point], colour: RGBColor, width: u32);
    /// A filled polygon.
    fn polygon(&mut self, points: &[Point], colour: RGBColor);
    /// A filled circle.
    fn dot(&mut self, at: Point, radius: f64, colour: RGBColor);
    /// A text.
    fn text(&mut self, at: Point, text: &str, size: f64, colour: RGBColor, align: Align);
}

fn whole((x, y): Point) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

impl<B: DrawingBackend> Surface for DrawingArea<B, Shift> {
    fn rect(&mut self, from: Point, to: Point, colour: RGBColor) {
        // Neither an SVG in memory nor a bitmap fails.
        let _ = self.draw(&Rectangle::new([whole(from), whole(to)], colour.filled()));
    }

    fn line(&mut self, points: &[Point], colour: RGBColor, width: u32) {
        let points: Vec<_> = points.iter().copied().map(whole).collect();
        let _ = self.draw(&PathElement::new(points, colour.stroke_width(width)));
    }

    fn polygon(&mut self, points: &[Point], colour: RGBColor) {
        let points: Vec<_> = points.iter().copied().map(whole).collect();
        let _ = self.draw(&Polygon::new(points, colour.filled()));
    }

    fn dot(&mut self, at: Point, radius: f64, colour: RGBColor) {
        let _ = self.draw(&Circle::new(whole(at), radius.round() as i32, colour.filled()));
    }

    fn text(&mut self, at: Point, text: &str, size: f64, colour: RGBColor, align: Align) {
        let h_pos = match align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style: TextStyle<'_> = (font::FAMILIES, size).into_font().into();
        let style = style.color(&colour).pos(Pos::new(h_pos, VPos::Center));
        let _ = self.draw(&Text::new(text.to_owned(), whole(at), style));
    }
}

/// Draws an SVG.
pub fn svg(size: (u32, u32), draw: impl FnOnce(&mut dyn Surface)) -> Vec<u8> {
    let mut text = String::new();
    {
        let mut area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.rect((0.0, 0.0), (f64::from(size.0), f64::from(size.1)), RGBColor(0xff, 0xff, 0xff));
        draw(&mut area);
        let _ = area.present();
    }
    text.into_bytes()
}

/// Draws a PNG.
///
/// # Errors
/// A failure of the kind `artifact` for a chart that is too large, or can't be written as PNG.
pub fn png((width, height): (u32, u32), draw: impl FnOnce(&mut dyn Surface)) -> Result<Vec<u8>, Failure> {
    let failed = |message: String| Failure::new("artifact", message);
    let mut pixmap = skia::blank(width, height).ok_or_else(|| failed("the chart is too large".into()))?;
    draw(&mut skia::Skia(&mut pixmap).into_drawing_area());
    pixmap.encode_png().map_err(|error| failed(error.to_string()))
}
