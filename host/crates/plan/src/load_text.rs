//! Loads for people: `constant-arrival-rate: 200/s for 1m`.

use std::time::Duration;

use kperf_schedule::{CapacitySearch, Executor, Rate, Search};
use kperf_suite::DurationText;

/// `3 workers`.
#[must_use]
pub fn plural(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The steps of a search, and about how long they take together.
pub(crate) fn steps(search: &CapacitySearch) -> String {
    let time = DurationText;
    let count = Search::new(search.plan).trials_left();
    // Judging a step and starting the next one on a full second take one.
    let each = search.trial + Duration::from_secs(1);
    let all = each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).min(search.max_duration);
    format!(
        "about {count} of {} ({} not judged), together {}, and up to {} to recover after one that breaks",
        time(search.trial),
        time(search.settle),
        time(all),
        time(search.recover),
    )
}

/// A load in one line, for people and for a run's header.
#[must_use]
pub fn describe(executor: &Executor) -> String {
    let time = DurationText;
    let a_second = |value: f64| {
        if value >= 1.0 || value == 0.0 { format!("{}/s", round(value)) } else { format!("{}/m", round(value * 60.0)) }
    };
    let per_second = |rate: Rate| a_second(rate.as_per_second());
    match executor {
        Executor::ConstantVus { vus, duration, .. } => {
            format!("constant-vus: {} for {}", plural(*vus, "user"), time(*duration))
        }
        Executor::RampingVus { start_vus, stages, .. } => {
            let ramp = stages.iter().map(|it| format!(" to {} in {}", it.target, time(it.duration)));
            format!("ramping-vus: from {start_vus}{} users", ramp.collect::<Vec<_>>().join(","))
        }
        Executor::PerVuIterations { vus, iterations, max_duration, .. } => format!(
            "per-vu-iterations: {iterations} by each of {}, within {}",
            plural(*vus, "user"),
            time(*max_duration)
        ),
        Executor::SharedIterations { vus, iterations, max_duration, .. } => {
            format!("shared-iterations: {iterations} by {}, within {}", plural(*vus, "user"), time(*max_duration))
        }
        Executor::ConstantArrivalRate { rate, duration, .. } => {
            format!("constant-arrival-rate: {} for {}", per_second(*rate), time(*duration))
        }
        Executor::RampingArrivalRate { start_rate, stages, .. } => {
            let ramp = stages.iter().map(|it| format!(" to {} in {}", per_second(it.target), time(it.duration)));
            format!("ramping-arrival-rate: from {}{}", per_second(*start_rate), ramp.collect::<Vec<_>>().join(","))
        }
        Executor::CapacitySearch(CapacitySearch { plan, .. }) => format!(
            "capacity-search: from {} to at most {}, to within {} %, confirmed {} times",
            per_second(plan.start),
            per_second(plan.max),
            round(plan.precision * 100.0),
            plan.confirm
        ),
    }
}

fn round(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_below_one_a_second_are_shown_by_the_minute() {
        let text = |rate: &str| {
            let load = format!(
                "{{ executor = 'constant-arrival-rate', rate = '{rate}', duration = '90s', pre_allocated_vus = 1 }}"
            );
            let suite = format!("name = 's'\n[[scenario]]\nname = 'a'\nplugin = 'p'\nload = {load}\n");
            describe(&crate::testing::plan(&suite, |_| None).suite.scenarios[0].load.executor)
        };
        assert_eq!(text("30/m"), "constant-arrival-rate: 30/m for 1m30s");
        assert_eq!(text("2.5/s"), "constant-arrival-rate: 2.5/s for 1m30s");
        assert_eq!((plural(1, "user"), plural(0, "user")), ("1 user".to_owned(), "0 users".to_owned()));
    }
}
