//! How commands say that what they were given can't be used.

use kperf_results::Exit;
use kperf_suite::Diagnostics;

use crate::terminal;

pub(super) fn refuse(diagnostics: &Diagnostics) -> Exit {
    terminal::note(diagnostics.render(terminal::colour()).trim_end());
    if diagnostics.len() > 1 {
        terminal::note(&format!("\n{} mistakes", diagnostics.len()));
    }
    Exit::Usage
}

/// Shows that the command line or a file is wrong.
pub(super) fn usage(message: &str) -> Exit {
    terminal::error(message);
    Exit::Usage
}

/// A variable of the process environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
