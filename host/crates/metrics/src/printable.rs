//! Texts of others, fit for a terminal, a log and a table.

use std::borrow::Cow;

/// The text on one line and without anything that a terminal obeys: line breaks and tabs become spaces, every other control character, and
/// those that change the direction of what follows, becomes `\u{..}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_break(c) || is_command(c)) {
        return Cow::Borrowed(text);
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_break(c) => printable.push(' '),
            c if is_command(c) => printable.extend(c.escape_unicode()),
            c => printable.push(c),
        }
    }
    Cow::Owned(printable)
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_starts_a_line_or_gives_an_order() {
        assert_eq!(printable("a\r\nb\tc"), "a  b c");
        assert_eq!(printable("\u{1b}[2J\u{9b}31m\u{7}"), "\\u{1b}[2J\\u{9b}31m\\u{7}");
        assert_eq!(printable("user\u{202e}gnp.exe"), "user\\u{202e}gnp.exe");
        assert!(matches!(printable("größer als 3 µs ✓ 中"), Cow::Borrowed(_)));
    }
}
