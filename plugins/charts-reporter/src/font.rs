//! The font of the charts: how wide a text is, and its glyphs.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

/// The families that an SVG asks for: viewers that lack the first take one of about the same width.
pub const FAMILIES: &str = "Ubuntu, 'Segoe UI', Roboto, Arial, sans-serif";

/// Plotters' sizes are heights of a line; what CSS calls a font's size is smaller by this.
const LINE: f64 = 1.24;

fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).ok()).as_ref()
}

/// What CSS calls the font's size.
fn em(size: f64) -> f64 {
    size / LINE
}

fn scaled(font: &FontRef<'static>, size: f64) -> PxScale {
    let per_em = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(em(size) as f32 * font.height_unscaled() / per_em)
}

/// How wide a text is, in pixels.
pub fn width(text: &str, size: f64) -> f64 {
    let Some(font) = font() else { return text.len() as f64 * em(size) * 0.6 };
    let font = font.as_scaled(scaled(font, size));
    text.chars().map(|c| f64::from(font.h_advance(font.glyph_id(c)))).sum()
}

/// A text that is cut to fit, with an ellipsis if it had to be.
pub fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut cut: String = text.to_owned();
    while !cut.is_empty() && width(&cut, size) + width("…", size) > room {
        cut.pop();
    }
    format!("{cut}…")
}

/// From the middle of the letters to the line that they stand on.
pub fn middle(size: f64) -> f64 {
    em(size) * 0.26
}

/// From the top of the letters to the line that they stand on.
pub fn top(size: f64) -> f64 {
    em(size) * 0.76
}

/// Calls `pixel` with the place and the coverage (0 to 1) of each pixel of a text whose line begins at `x`, `y`.
pub fn draw(text: &str, size: f64, (x, y): (f64, f64), mut pixel: impl FnMut(i32, i32, f32)) {
    let Some(font) = font() else { return };
    let scale = scaled(font, size);
    let metrics = font.as_scaled(scale);
    let mut at = x as f32;
    for c in text.chars() {
        let glyph = metrics.glyph_id(c);
        let placed = glyph.with_scale_and_position(scale, point(at, y as f32));
        at += metrics.h_advance(glyph);
        if let Some(outline) = font.outline_glyph(placed) {
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| pixel(corner.x as i32 + dx as i32, corner.y as i32 + dy as i32, coverage));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_its_letters_and_is_cut_to_its_room() {
        assert!(width("iiii", 20.0) < width("mmmm", 20.0));
        assert!((width("ab", 20.0) * 2.0 - width("ab", 40.0)).abs() < 0.5);
        assert_eq!(fitted("short", 20.0, 500.0), "short");
        let cut = fitted("a_rather_long_name_of_an_operation", 20.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 20.0) <= 100.0, "{cut}");
        let mut inked = 0;
        draw("Ä1", 20.0, (10.0, 30.0), |x, y, coverage| {
            assert!((9..60).contains(&x) && (5..36).contains(&y) && (0.0..=1.01).contains(&coverage));
            inked += u32::from(coverage > 0.5);
        });
        assert!(inked > 20);
    }
}
