//! When a recurring run is due: cron patterns with seconds, `@every`, and fixed intervals.
//!
//! In: what a client wrote. Out: the instant that is due next, in whole seconds since the epoch, by the rules of Kubeflow
//! Pipelines' controller. Cron patterns are those of Go's `robfig/cron` v1: five or six fields, seconds first, the day of
//! the week last and optional. Times are UTC.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// What makes a recurring run start, and within which time.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) rule: Rule,
    /// Seconds since the epoch.
    pub(crate) start: Option<i64>,
    /// Seconds since the epoch.
    pub(crate) end: Option<i64>,
}

/// The rhythm of a schedule.
#[derive(Debug)]
pub(crate) enum Rule {
    /// A run as soon as the recurring run exists, and no other.
    Once,
    /// So many seconds after the last.
    Interval(i64),
    /// By a pattern; its text is as written.
    Cron { text: String, pattern: Pattern },
}

/// A cron pattern that is refused, in the words of the real controller's library.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("Failed to parse duration {0}")]
    Duration(String),
    #[error("Unrecognized descriptor: {0}")]
    Descriptor(String),
    #[error("Expected 5 to 6 fields, found {count}: {text}")]
    FieldCount { count: usize, text: String },
    #[error("Failed to parse pattern: {0}")]
    Unsupported(String),
    #[error(transparent)]
    Cron(croner::errors::CronError),
}

/// A cron pattern that was understood.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// `@every`: so many seconds after the last.
    Every(i64),
    Fields(Box<Cron>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The real controller would refuse it.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(span) = text.strip_prefix("@every ") {
            let span = go_duration(span.trim()).ok_or_else(|| PatternError::Duration(text.to_owned()))?;
            // Below a second it is rounded up, above the rest is cut off.
            return Ok(Self::Every(span.max(1)));
        }
        let spelt = match text {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            other if other.starts_with('@') => return Err(PatternError::Descriptor(other.to_owned())),
            other => other,
        };
        let mut fields: Vec<&str> = spelt.split_whitespace().collect();
        match fields.len() {
            5 => fields.push("*"),
            6 => {}
            count => return Err(PatternError::FieldCount { count, text: text.to_owned() }),
        }
        // What the library knows beyond robfig's patterns would be refused by the real server.
        if spelt.contains(['L', 'W', '#', '+']) && !spelt.to_ascii_uppercase().contains("JUL") {
            return Err(PatternError::Unsupported(text.to_owned()));
        }
        let parser = CronParser::builder().seconds(Seconds::Required).sloppy_ranges(true).build();
        parser.parse(&fields.join(" ")).map(|cron| Self::Fields(Box::new(cron))).map_err(PatternError::Cron)
    }

    fn after(&self, second: i64) -> Option<i64> {
        match self {
            Self::Every(span) => second.checked_add(*span),
            Self::Fields(cron) => {
                let from: DateTime<Utc> = DateTime::from_timestamp(second, 0)?;
                cron.find_next_occurrence(&from, false).ok().map(|at| at.timestamp())
            }
        }
    }

    /// The last instant not after `limit` that the pattern reaches from `first`, which it has reached.
    fn last(&self, first: i64, limit: i64) -> Option<i64> {
        match self {
            Self::Every(span) => Some(first + (limit - first) / span * span),
            Self::Fields(cron) => {
                let limit: DateTime<Utc> = DateTime::from_timestamp(limit, 0)?;
                cron.find_previous_occurrence(&limit, true).ok().map(|at| at.timestamp().max(first))
            }
        }
    }
}

impl Schedule {
    /// The instant that is due next, in the past or in the future; none if there is no further one.
    ///
    /// `last`: the instant that the last run stood for; `created`: when the recurring run was made; `catch_up`: whether
    /// instants that passed unseen are made up for one by one, or only the last of them is.
    pub(crate) fn next(&self, last: Option<i64>, created: i64, now: i64, catch_up: bool) -> Option<i64> {
        let from = last.or(self.start).unwrap_or(created).max(self.start.unwrap_or(i64::MIN));
        let within = |at: i64| self.end.is_none_or(|end| at <= end);
        match &self.rule {
            Rule::Once => last.is_none().then_some(created),
            Rule::Interval(seconds) => {
                let next = from.checked_add(*seconds).filter(|at| within(*at))?;
                // A run that is late by more than an interval starts a new rhythm now.
                Some(if !catch_up && now >= next.saturating_add(*seconds) { now } else { next })
            }
            Rule::Cron { pattern, .. } => {
                let next = pattern.after(from).filter(|at| within(*at))?;
                let limit = now.min(self.end.unwrap_or(i64::MAX));
                if catch_up || next >= limit {
                    return Some(next);
                }
                pattern.last(next, limit)
            }
        }
    }

    /// The instants after `from` and before `until` without a run, oldest first and at most `limit`.
    pub(crate) fn between(&self, from: i64, until: i64, limit: usize) -> Vec<i64> {
        let step = |at: i64| match &self.rule {
            Rule::Once => None,
            Rule::Interval(seconds) => at.checked_add(*seconds),
            Rule::Cron { pattern, .. } => pattern.after(at),
        };
        std::iter::successors(step(from), |at| step(*at)).take_while(|at| *at < until).take(limit).collect()
    }
}

/// Whole seconds of a duration as Go writes it: `1h30m`, `1.5h`, `90s`, `500ms`.
fn go_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    // More than a hundred years is a typing error.
    (!text.is_empty() && total < 3.2e9).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T10:15:04Z, a Sunday.
    const SUNDAY: i64 = 1_795_342_504;

    fn cron(text: &str) -> Schedule {
        let rule = Rule::Cron { text: text.to_owned(), pattern: Pattern::parse(text).unwrap() };
        Schedule { rule, start: None, end: None }
    }

    fn after(text: &str) -> i64 {
        cron(text).next(None, SUNDAY, SUNDAY, true).unwrap() - SUNDAY
    }

    #[test]
    fn patterns_have_seconds_first() {
        assert_eq!(after("*/10 * * * * *"), 6);
        assert_eq!(after("0 */5 * * * *"), 296);
        assert_eq!(after("0 */5 * * *"), 296, "the day of the week may be left out");
        assert_eq!(after("0 20/10 * * * ?"), 296, "a start with a step");
        assert_eq!(after("0 0 0 * * 1"), 13 * 3600 + 44 * 60 + 56, "Monday is 1");
        assert_eq!(after("0 0 0 * * MON"), after("0 0 0 * * 1"));
        assert_eq!(after("0 0 0 13 * 1"), after("0 0 0 * * 1"), "day of month or of week, whichever comes first");
        assert_eq!(after("@hourly"), 44 * 60 + 56);
        assert_eq!(after("@every 1m30s"), 90);
        assert_eq!(after("@every 10ms"), 1);
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for text in ["", "1 * *", "61 * * * * *", "* * * * * * *", "@sometimes", "@every", "@every soon", "0 0 0 L * *"]
        {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(Pattern::parse("1 * *").unwrap_err().to_string(), "Expected 5 to 6 fields, found 3: 1 * *");
        assert!(Pattern::parse("0 0 0 1 JUL *").is_ok());
    }

    #[test]
    fn catching_up_takes_one_after_the_other_and_not_doing_so_only_the_last() {
        let every = cron("0 * * * * *");
        let minute = SUNDAY - 4;
        let now = minute + 200;
        assert_eq!(every.next(Some(minute), SUNDAY, now, true), Some(minute + 60));
        assert_eq!(every.next(Some(minute), SUNDAY, now, false), Some(minute + 180));
        assert_eq!(every.next(Some(minute), SUNDAY, minute + 10, false), Some(minute + 60));
        assert_eq!(every.between(minute, minute + 180, 9), [minute + 60, minute + 120]);
        let interval = Schedule { rule: Rule::Interval(60), start: None, end: None };
        assert_eq!(interval.next(Some(minute), SUNDAY, now, true), Some(minute + 60));
        assert_eq!(interval.next(Some(minute), SUNDAY, now, false), Some(now), "a new rhythm");
        assert_eq!(interval.next(Some(minute), SUNDAY, minute + 100, false), Some(minute + 60));
        let spans = cron("@every 1m");
        assert_eq!(spans.next(Some(minute), SUNDAY, now, false), Some(minute + 180));
    }

    #[test]
    fn nothing_is_due_before_the_start_and_after_the_end() {
        let mut every = cron("0 * * * * *");
        every.start = Some(SUNDAY + 3600);
        assert_eq!(every.next(None, SUNDAY, SUNDAY, true), Some(SUNDAY + 3656));
        every.end = Some(SUNDAY + 3700);
        assert_eq!(every.next(Some(SUNDAY + 3656), SUNDAY, SUNDAY, true), None);
        let once = Schedule { rule: Rule::Once, start: None, end: None };
        assert_eq!(once.next(None, SUNDAY, SUNDAY, true), Some(SUNDAY));
        assert_eq!(once.next(Some(SUNDAY), SUNDAY, SUNDAY, true), None);
    }
}
