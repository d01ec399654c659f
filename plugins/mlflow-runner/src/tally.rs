//! Counts the requests of an iteration and keeps the first error.

use kperf_plugin_sdk::{Failure, metrics};

use crate::api::{ApiError, ErrorKind};

/// Counts requests and keeps the first error: an iteration goes on as far as it can.
#[derive(Debug, Default)]
pub struct Tally {
    requests: u64,
    first: Option<ApiError>,
    stopped: bool,
}

impl Tally {
    /// The outcome of a request, if it was a good one.
    pub fn take<T>(&mut self, outcome: Result<T, ApiError>) -> Option<T> {
        self.requests += 1;
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.stopped |= error.kind == ErrorKind::Interrupted;
                self.first.get_or_insert(error);
                None
            }
        }
    }

    /// Records whether something that should hold does hold.
    pub fn check(&mut self, name: &str, holds: bool) {
        metrics::check(name, holds);
        if !holds {
            self.first.get_or_insert_with(|| ApiError::bad_answer(format!("not so: {name}")));
        }
    }

    /// Whether the run of the suite is being stopped: nothing more can be sent.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Notes that the iteration ends early, because the run is ending.
    pub fn break_off(&mut self) {
        self.stopped = true;
        self.first.get_or_insert_with(|| ApiError {
            kind: ErrorKind::Interrupted,
            message: "the run is being stopped".to_owned(),
        });
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The first error, if there was any.
    pub fn first(&self) -> Option<&ApiError> {
        self.first.as_ref()
    }

    /// How the iteration ended.
    pub fn end(self) -> Result<(), Failure> {
        self.first.map_or(Ok(()), |error| Err(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_trouble_counts() {
        let error = |kind| ApiError { kind, message: String::new() };
        let mut tally = Tally::default();
        assert_eq!(tally.take(Ok(1)), Some(1));
        assert_eq!(tally.take::<u8>(Err(error(ErrorKind::Overload))), None);
        assert!(!tally.is_stopped());
        tally.take::<u8>(Err(error(ErrorKind::Interrupted)));
        assert!(tally.is_stopped());
        assert_eq!(tally.requests(), 3);
        assert_eq!(tally.end().unwrap_err().kind, "overload");
    }
}
