//! Scripts of outcomes, and synthetic targets whose capacity is known.

use super::*;

const PLAN: SearchPlan = SearchPlan {
    start: Rate::per_second(10.0),
    max: Rate::per_second(1000.0),
    growth: 2.0,
    precision: 0.05,
    confirm: 2,
};

/// Plays a search against a target; the rates tried and how it ended.
fn play(plan: SearchPlan, mut target: impl FnMut(f64) -> TrialOutcome) -> (Vec<f64>, Search) {
    let mut search = Search::new(plan);
    let mut rates = Vec::new();
    while let ControlFlow::Continue(rate) = search.next() {
        assert!(rates.len() < MOST_TRIALS, "no end: {rates:?}");
        rates.push(rate);
        search.record(rate, target(rate));
    }
    (rates, search)
}

/// Carries rates up to its capacity.
fn carries(capacity: f64) -> impl Fn(f64) -> TrialOutcome {
    move |rate| if rate <= capacity { TrialOutcome::Held } else { TrialOutcome::Broke }
}

#[test]
fn it_grows_narrows_and_confirms_both_ends() {
    let (rates, search) = play(PLAN, carries(50.0));
    assert_eq!(rates, [10.0, 20.0, 40.0, 80.0, 56.6, 47.6, 51.9, 49.7, 49.7, 51.9]);
    assert_eq!(search.state(), SearchState::Found);
    let (held, broken) = (search.highest_held().unwrap(), search.lowest_broken().unwrap());
    assert_eq!((held.rate, held.held, held.broke), (49.7, 2, 0));
    assert_eq!((broken.rate, broken.held, broken.broke), (51.9, 0, 2));
}

#[test]
fn the_highest_rate_is_tried_exactly_and_confirmed() {
    let plan = SearchPlan { max: Rate::per_second(81.0), ..PLAN };
    let (rates, search) = play(plan, carries(5000.0));
    assert_eq!(rates, [10.0, 20.0, 40.0, 81.0, 81.0], "80 would be a trial just short of the last one");
    assert_eq!((search.state(), search.ceiling()), (SearchState::MaxHeld, None));
    let only = SearchPlan { max: PLAN.start, ..PLAN };
    assert_eq!(play(only, carries(5000.0)).0, [10.0, 10.0]);
}

#[test]
fn a_start_that_breaks_is_confirmed_before_it_ends_the_search() {
    let (rates, search) = play(PLAN, carries(5.0));
    assert_eq!((rates, search.state()), (vec![10.0, 10.0], SearchState::StartBroke));
    assert_eq!(search.highest_held(), None);
    let mut first = true;
    let (_, search) =
        play(PLAN, |rate| if std::mem::take(&mut first) { TrialOutcome::Broke } else { carries(100.0)(rate) });
    assert_eq!(search.state(), SearchState::Found, "a hiccup at the start is no answer");
    assert!((95.0..=100.0).contains(&search.highest_held().unwrap().rate));
}

#[test]
fn a_hiccup_on_the_way_up_is_found_out_at_the_end() {
    let mut hiccup = true;
    let (rates, search) = play(PLAN, |rate| {
        if rate == 40.0 && std::mem::take(&mut hiccup) { TrialOutcome::Broke } else { carries(300.0)(rate) }
    });
    assert_eq!(rates[..3], [10.0, 20.0, 40.0]);
    assert_eq!(search.state(), SearchState::Found);
    let held = search.highest_held().unwrap();
    assert!((285.0..=300.0).contains(&held.rate), "{held:?} after {rates:?}");
}

#[test]
fn what_held_by_luck_falls_when_it_is_confirmed() {
    let mut luck = true;
    let (_, search) =
        play(
            PLAN,
            |rate| {
                if rate == 80.0 && std::mem::take(&mut luck) { TrialOutcome::Held } else { carries(60.0)(rate) }
            },
        );
    let held = search.highest_held().unwrap();
    assert!((57.0..=60.0).contains(&held.rate), "{held:?}");
}

#[test]
fn a_step_that_says_nothing_is_tried_again_and_then_taken_as_not_to_be_made() {
    let mut doubts = 2;
    let (rates, search) = play(PLAN, |rate| {
        if rate == 20.0 && doubts > 0 {
            doubts -= 1;
            return TrialOutcome::Unsure;
        }
        carries(50.0)(rate)
    });
    assert_eq!((&rates[..4], search.state()), (&[10.0, 20.0, 20.0, 20.0][..], SearchState::Found));
    let (rates, search) = play(PLAN, |rate| if rate > 30.0 { TrialOutcome::Unsure } else { TrialOutcome::Held });
    assert_eq!(search.state(), SearchState::Unsupported);
    assert_eq!(search.lowest_broken(), None);
    assert!((28.0..=30.0).contains(&search.highest_held().unwrap().rate));
    assert_eq!(rates.iter().filter(|rate| **rate == 40.0).count(), 3);
    let (rates, search) = play(PLAN, |_| TrialOutcome::Unsupported);
    assert_eq!((rates, search.state()), (vec![10.0], SearchState::Unsupported));
}

#[test]
fn slow_rates_are_searched_like_fast_ones() {
    let plan = SearchPlan { start: "7/h".parse().unwrap(), max: Rate::per_second(1.0), ..PLAN };
    let (rates, search) = play(plan, carries(0.05));
    assert_eq!(rates[0], 7.0 / 3600.0);
    let held = search.highest_held().unwrap().rate;
    assert!((0.0475..=0.05).contains(&held), "{held} after {rates:?}");
}

#[test]
fn the_trials_left_are_about_those_that_come() {
    let mut search = Search::new(PLAN);
    assert!((8..=14).contains(&search.trials_left()), "{}", search.trials_left());
    let mut left = search.trials_left();
    while let ControlFlow::Continue(rate) = search.next() {
        search.record(rate, carries(100.0)(rate));
        assert!(search.trials_left() <= left + 1, "{} after {left}", search.trials_left());
        left = search.trials_left();
    }
    assert_eq!(left, 0);
}

/// Numbers that look random, the same ones for a seed.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Whatever the capacity is: found within the precision when the target is exact, and within a few widths of the blur more
/// when trials near the capacity go one way or the other.
#[test]
fn the_capacity_of_any_target_is_found() {
    let mut dice = Dice(7);
    let mut most = 0;
    for round in 0..2000 {
        let capacity = 12.0 * 80_f64.powf(dice.roll());
        let plan = SearchPlan { precision: [0.02, 0.05, 0.1][round % 3], confirm: 1 + (round as u32 / 3) % 3, ..PLAN };
        let blur = if round % 2 == 0 { 0.0 } else { 0.02 };
        let mut doubts = 0;
        let (rates, search) = play(plan, |rate| {
            let chance = if blur == 0.0 {
                f64::from(u8::from(rate <= capacity))
            } else {
                1.0 / (1.0 + ((rate / capacity - 1.0) / blur * 3.0).exp())
            };
            match dice.roll() {
                roll if blur > 0.0 && roll < 0.02 && doubts < 2 => {
                    doubts += 1;
                    TrialOutcome::Unsure
                }
                _ if dice.roll() < chance => TrialOutcome::Held,
                _ => TrialOutcome::Broke,
            }
        });
        most = most.max(rates.len());
        assert_eq!(search.state(), SearchState::Found, "{capacity} {plan:?} {rates:?}");
        let held = search.highest_held().unwrap().rate;
        // Half a percent for the rounding to three digits.
        let (low, high) =
            (capacity * (1.0 - plan.precision - 4.0 * blur - 0.006), capacity * (1.0 + 4.0 * blur + 1e-9));
        assert!((low..=high).contains(&held), "{held} for {capacity}, {plan:?}: {rates:?}");
    }
    assert!(most < 60, "{most} trials");
}
