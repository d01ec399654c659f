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

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

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
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}

/// Prints a line to standard error.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
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
