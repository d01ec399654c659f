//! What a person sees: live progress while load runs, the summary at the end, plain lines when nobody watches.
//!
//! Results go to standard output, everything else (progress, log, errors) to standard error, so that a pipe gets only
//! results. Colours respect `NO_COLOR`, `CLICOLOR_FORCE` and pipes.

mod above;
mod capacity;
mod cells;
mod live;
mod removal;
mod sink;
mod spread;
mod summary;
mod table;

pub use above::AboveBars;
pub use kperf_metrics::quantity::{count, quantity, rate, seconds};
pub use sink::Terminal;
pub use summary::print as print_summary;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};
use kperf_plugin::Redactor;

/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is in doubt.
pub const DOUBT: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();
/// Headings.
pub const STRONG: Style = Style::new().bold();

/// Prints a line to standard output. A closed pipe is not an error: the reader has had enough.
pub fn out(line: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{}", shown(line));
}

/// Prints a line to standard error.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", shown(line));
}

/// A text as it may reach a terminal: without secrets, and with no order to the terminal but for colours.
fn shown(text: &str) -> Cow<'_, str> {
    let redacted = Redactor::of_process().redact(text);
    if !redacted.chars().any(|c| c.is_control() && c != '\n') {
        return redacted;
    }
    let mut shown = String::with_capacity(redacted.len());
    let mut rest = &*redacted;
    while let Some(c) = rest.chars().next() {
        let style = if c == '\u{1b}' { style(rest) } else { 0 };
        let (taken, left) = rest.split_at_checked(style.max(c.len_utf8())).unwrap_or((rest, ""));
        if style > 0 || !c.is_control() || matches!(c, '\n' | '\t') {
            shown.push_str(taken);
        } else {
            shown.extend(c.escape_unicode());
        }
        rest = left;
    }
    Cow::Owned(shown)
}

/// The length of the colour or style at the beginning of a text (`ESC [ digits ; digits m`); 0 if there is none.
fn style(text: &str) -> usize {
    let Some(inside) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end =
        inside.find(|c: char| !c.is_ascii_digit() && c != ';').filter(|end| inside.as_bytes().get(*end) == Some(&b'm'));
    end.map_or(0, |end| end + 3)
}

/// Prints an error line to standard error.
pub fn error(message: &str) {
    note(&format!("{BAD}error{BAD:#}: {message}"));
}

/// How much of the terminal there is to use.
#[derive(Clone)]
pub struct Display {
    bars: MultiProgress,
    live: bool,
    quiet: bool,
}

impl Display {
    /// Looks at standard error: bars on a terminal, lines elsewhere, nothing if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let live = !quiet && io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(if live {
            ProgressDrawTarget::stderr_with_hz(4)
        } else {
            ProgressDrawTarget::hidden()
        });
        Self { bars, live, quiet }
    }

    /// Prints a line of progress, above the bars if there are any.
    pub fn line(&self, line: &str) {
        if !self.quiet {
            self.bars.suspend(|| note(line));
        }
    }

    /// Prints a line that everybody has to see, above the bars if there are any.
    pub fn above(&self, line: &str) {
        self.bars.suspend(|| note(line));
    }

    /// Whether standard error takes colours.
    #[must_use]
    pub fn colour(&self) -> bool {
        colour()
    }

    /// Where log lines go.
    #[must_use]
    pub fn writer(&self) -> AboveBars {
        AboveBars(self.bars.clone())
    }
}

/// Whether standard error takes colours: a terminal, or `CLICOLOR_FORCE`; never with `NO_COLOR`.
#[must_use]
pub fn colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_reach_the_terminal() {
        assert_eq!(shown("plain\tµ\nnext"), "plain\tµ\nnext");
        assert_eq!(shown("\u{1b}[1;31mred\u{1b}[0m"), "\u{1b}[1;31mred\u{1b}[0m");
        assert_eq!(shown("\u{1b}[2J\u{1b}]0;t\u{7}\r\u{1b}"), "\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{d}\\u{1b}");
    }
}
