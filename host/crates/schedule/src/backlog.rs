//! Whether work piles up: iterations in flight, watched for a while at a constant rate of arrivals.
//!
//! A target that can't carry a rate may still answer what it answers in time; what it has not answered yet shows in the
//! number of iterations in flight, which grows by the difference between arrivals and completions. A line through the
//! readings tells that growth from the ups and downs of a target that keeps up.

use std::time::Duration;

/// Growth below this share of the arrivals is keeping up.
const KEEPING_UP: f64 = 0.02;

/// Readings of how many iterations were in flight.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    readings: Vec<(f64, f64)>,
}

impl Backlog {
    /// Adds a reading: `in_flight` iterations at `elapsed`, counted from the same instant for all readings.
    pub fn read(&mut self, elapsed: Duration, in_flight: u64) {
        self.readings.push((elapsed.as_secs_f64(), in_flight as f64));
    }

    /// The first reading, if there is one.
    #[must_use]
    pub fn first(&self) -> Option<f64> {
        self.readings.first().map(|(_, in_flight)| *in_flight)
    }

    /// The last reading, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.readings.last().map(|(_, in_flight)| *in_flight)
    }

    /// The mean number of iterations in flight; 0 without readings.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.readings.is_empty() {
            return 0.0;
        }
        self.readings.iter().map(|(_, in_flight)| in_flight).sum::<f64>() / self.readings.len() as f64
    }

    /// How many iterations more were in flight at the end than at the beginning, by the line of least squares; 0 with fewer
    /// than two readings.
    #[must_use]
    pub fn growth(&self) -> f64 {
        let (time, level) = (self.mean_time(), self.mean());
        let (mut across, mut along) = (0.0, 0.0);
        for (at, in_flight) in &self.readings {
            across += (at - time) * (in_flight - level);
            along += (at - time) * (at - time);
        }
        if along > 0.0 { across / along * self.length() } else { 0.0 }
    }

    /// The least growth that is taken as a backlog when arrivals come at `rate` per second and iteration times have a standard
    /// deviation of `deviation`: a share of the arrivals, or what chance alone may do, whichever is more.
    ///
    /// Arrivals are evenly spaced, so the number in flight swings only because iterations take unequally long: by a variance
    /// of `rate * integral of F * (1 - F)` over their distribution `F`, which is 0.50 (exponential) to 0.58 (uniform) of
    /// `rate * deviation`. A swing lasts about as long as an iteration, `L / rate` for `L` in flight; a line through a time `T`
    /// averages over as many as fit. One more is for the reading of whole numbers.
    #[must_use]
    pub fn least_growth(&self, rate: f64, deviation: Duration) -> f64 {
        let arrivals = rate * self.length();
        let averaged = if arrivals > 0.0 { (4.0 * self.mean() / arrivals).min(1.0) } else { 1.0 };
        let variance = 0.58 * rate * deviation.as_secs_f64() * averaged;
        (KEEPING_UP * arrivals).max(1.0 + 2.0 * variance.sqrt())
    }

    /// Whether more arrived at `rate` per second than was completed; `deviation` as in [`Self::least_growth`].
    #[must_use]
    pub fn grows(&self, rate: f64, deviation: Duration) -> bool {
        self.growth() > self.least_growth(rate, deviation)
    }

    fn length(&self) -> f64 {
        match (self.readings.first(), self.readings.last()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0.0,
        }
    }

    fn mean_time(&self) -> f64 {
        self.readings.iter().map(|(at, _)| at).sum::<f64>() / (self.readings.len().max(1)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of customers before `servers` that need `service` seconds each, spread by `spread` around that; read a
    /// hundred times from `settle` to the end.
    fn queue(rate: f64, servers: usize, service: f64, spread: f64, settle: f64, seconds: f64, seed: u64) -> Backlog {
        let mut free = vec![0.0_f64; servers];
        let mut ends = Vec::new();
        let mut state = seed;
        for k in 0..(rate * seconds) as u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = (state >> 33) as f64 / (1_u64 << 31) as f64;
            let due = k as f64 / rate;
            let server = free.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
            *server = server.max(due) + service * (1.0 + spread * (2.0 * roll - 1.0));
            ends.push((due, *server));
        }
        let mut backlog = Backlog::default();
        for at in (0..=100).map(|n| settle + (seconds - settle) * f64::from(n) / 100.0) {
            let in_flight = ends.iter().filter(|(due, end)| *due <= at && *end > at).count();
            backlog.read(Duration::from_secs_f64(at), in_flight as u64);
        }
        backlog
    }

    #[test]
    fn what_is_carried_does_not_grow_and_what_is_not_does() {
        // (servers, service time, spread, settle, seconds): capacity is servers / service time.
        for (servers, service, spread, settle, seconds) in [
            (4, 0.2, 0.0, 1.0, 5.0),
            (4, 0.2, 0.5, 1.0, 11.0),
            (10, 0.5, 0.2, 2.0, 12.0),
            (10, 20.0, 0.2, 60.0, 660.0),
            (100, 5.0, 0.0, 8.0, 14.0),
        ] {
            let capacity = servers as f64 / service;
            let grows = |share: f64, seed| {
                let deviation = Duration::from_secs_f64(service * spread / 3_f64.sqrt());
                queue(capacity * share, servers, service, spread, settle, seconds, seed)
                    .grows(capacity * share, deviation)
            };
            let count = |share| (0..50).filter(|seed| grows(share, *seed)).count();
            let case = format!("{servers} servers of {service} s, spread {spread}");
            assert_eq!((count(0.5), count(0.9)), (0, 0), "{case}");
            assert!(count(0.97) <= 5, "{case}: {} of 50 at 97 %", count(0.97));
            assert!(count(1.08) >= 45, "{case}: {} of 50 at 108 %", count(1.08));
            assert_eq!(count(1.2), 50, "{case}");
        }
    }

    #[test]
    fn nothing_read_is_nothing_grown() {
        let mut backlog = Backlog::default();
        assert_eq!((backlog.growth(), backlog.mean(), backlog.grows(5.0, Duration::ZERO)), (0.0, 0.0, false));
        backlog.read(Duration::from_secs(1), 5);
        assert_eq!((backlog.growth(), backlog.first(), backlog.last()), (0.0, Some(5.0), Some(5.0)));
    }
}
