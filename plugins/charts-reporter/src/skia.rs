//! Plotters' drawing on a bitmap by tiny-skia, with smooth edges, and PNG out of it.

use std::convert::Infallible;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

use crate::font;

type Done = Result<(), DrawingErrorKind<Infallible>>;

/// A bitmap that plotters draws on.
pub struct Skia<'a>(pub &'a mut Pixmap);

fn paint(color: BackendColor) -> Paint<'static> {
    let mut paint = Paint::default();
    let (r, g, b) = color.rgb;
    paint.set_color_rgba8(r, g, b, (color.alpha.clamp(0.0, 1.0) * 255.0) as u8);
    paint.anti_alias = true;
    paint
}

fn path(points: impl IntoIterator<Item = BackendCoord>, closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (number, (x, y)) in points.into_iter().enumerate() {
        let (x, y) = (x as f32, y as f32);
        if number == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

impl Skia<'_> {
    fn fill(&mut self, path: Option<Path>, color: BackendColor) {
        if let Some(path) = path {
            self.0.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, color: BackendColor, width: u32) {
        let stroke =
            Stroke { width: width as f32, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        // A line of one pixel lies on a row of pixels and not between two.
        let half = if width % 2 == 1 { 0.5 } else { 0.0 };
        if let Some(path) = path {
            self.0.stroke_path(&path, &paint(color), &stroke, Transform::from_translate(half, half), None);
        }
    }
}

impl DrawingBackend for Skia<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Done {
        if let Some(rect) = Rect::from_xywh(x as f32, y as f32, 1.0, 1.0) {
            self.0.fill_rect(rect, &paint(color), Transform::identity(), None);
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        self.stroke(path([from, to], false), style.color(), style.stroke_width());
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Done {
        let corners = path([from, (to.0, from.1), to, (from.0, to.1)], true);
        if fill {
            self.fill(corners, style.color());
        } else {
            self.stroke(corners, style.color(), style.stroke_width());
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, points: I, style: &S) -> Done {
        self.stroke(path(points, false), style.color(), style.stroke_width());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Done {
        let circle = PathBuilder::from_circle(center.0 as f32, center.1 as f32, radius as f32);
        if fill {
            self.fill(circle, style.color());
        } else {
            self.stroke(circle, style.color(), style.stroke_width());
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, points: I, style: &S) -> Done {
        self.fill(path(points, true), style.color());
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Done {
        let (size, color, anchor) = (style.size(), style.color(), style.anchor());
        let left = match anchor.h_pos {
            HPos::Left => 0.0,
            HPos::Center => font::width(text, size) / 2.0,
            HPos::Right => font::width(text, size),
        };
        let down = match anchor.v_pos {
            VPos::Top => font::top(size),
            VPos::Center => font::middle(size),
            VPos::Bottom => -font::middle(size),
        };
        let at = (f64::from(x) - left, f64::from(y) + down);
        font::draw(text, size, at, |x, y, coverage| {
            let alpha = color.alpha * f64::from(coverage.clamp(0.0, 1.0));
            // Plotters has no error for a pixel that is outside, and neither has this.
            let _ = self.draw_pixel((x, y), BackendColor { alpha, ..color });
        });
        Ok(())
    }
}

/// A white bitmap.
pub fn blank(width: u32, height: u32) -> Option<Pixmap> {
    let mut pixmap = Pixmap::new(width, height)?;
    pixmap.fill(Color::WHITE);
    Some(pixmap)
}
