//! The contract's words for its enumerations, as `summary.json` and reporters' messages have them.

use crate::{Severity, Unit};

impl Severity {
    /// Every severity, the gravest first.
    const ALL: [Self; 4] = [Self::Critical, Self::Error, Self::Warning, Self::Info];

    /// `critical`, `error`, `warning` or `info`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    /// The severity with this word; none for a word of a newer host.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }
}

impl Unit {
    /// `none`, `seconds`, `bytes` or `ratio`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_is_found_by_its_word() {
        for severity in Severity::ALL {
            assert_eq!(Severity::of_word(severity.word()), Some(severity));
        }
        assert_eq!(Severity::of_word("fatal"), None);
    }
}
