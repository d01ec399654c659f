//! How the process ends: every exit code, in one place.

use std::process::ExitCode;

/// The exit code of `kperf-host`. The numbers are a public promise: CI pipelines branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Every threshold held.
    Pass = 0,
    /// A defect of kperf itself, or a machine that could not do its part (a full disk, say).
    Internal = 1,
    /// The command line or the suite is wrong.
    Usage = 2,
    /// A threshold was breached.
    ThresholdBreached = 3,
    /// Worse than the baseline.
    Regression = 4,
    /// The run does not support an answer: no samples, a saturated generator, dropped samples.
    Inconclusive = 5,
    /// The target or a plugin failed before load could start.
    NotReady = 6,
    /// The verdict is fine, but a required reporter failed.
    ReporterFailed = 7,
    /// Stopped by the user.
    Interrupted = 130,
}

impl Exit {
    /// The exit code that a verdict carries; what no verdict can carry is [`Exit::Internal`].
    #[must_use]
    pub fn of_verdict(code: u8) -> Self {
        [
            Self::Pass,
            Self::ThresholdBreached,
            Self::Regression,
            Self::Inconclusive,
            Self::NotReady,
            Self::ReporterFailed,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|exit| *exit as u8 == code)
        .unwrap_or(Self::Internal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
