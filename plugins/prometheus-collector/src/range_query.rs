//! The points of one range query, on a grid of whole steps since the Unix epoch: the grid of Prometheus' own subqueries, so that
//! figures agree with the server's.
//!
//! In come series as the server has them; out go samples, each grid point once, and at the end figures and gaps.

use std::collections::BTreeMap;

use kperf_plugin_sdk::{Failure, metrics::Sample};

use crate::{
    api::Series,
    query::{Kind, Query},
};

/// Points of a query that are kept for the figures at the end; beyond it the older half is forgotten.
const KEPT: usize = 500_000;

type Labels = BTreeMap<String, String>;
/// The labels that are kept, in the order of the query.
type Key = Vec<(String, String)>;

/// A query and its points. Places on the grid are numbers of steps.
#[derive(Debug)]
pub struct RangeQuery {
    pub query: Query,
    step: i64,
    /// By all labels, the points that there are.
    series: BTreeMap<Labels, Vec<(i64, f64)>>,
    /// The first and the last place that has been queried.
    queried: Option<(i64, i64)>,
    points: usize,
    /// Values that were no numbers.
    pub not_numbers: u64,
    /// How often a counter went back.
    pub resets: u64,
    /// Whether old points were forgotten.
    pub is_cut: bool,
}

/// Figures of a series over a window.
#[derive(Debug, PartialEq)]
pub struct Figures {
    pub labels: String,
    pub avg: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub increase: Option<f64>,
    pub points: i64,
    pub missing: i64,
}

/// What is missing of a query in a window.
#[derive(Debug, PartialEq, Eq)]
pub struct Gaps {
    /// Places that the window has.
    pub expected: i64,
    /// Places at which no series has a point.
    pub empty: i64,
    /// Points that are missing between the first and the last one of their series, where others have one.
    pub holes: i64,
}

impl RangeQuery {
    pub fn new(query: Query, step: i64) -> Self {
        let (series, queried, points, not_numbers, resets, is_cut) = Default::default();
        Self { query, step, series, queried, points, not_numbers, resets, is_cut }
    }

    /// The first place at or after an instant.
    pub fn place_after(&self, at: i64) -> i64 {
        at.div_euclid(self.step) + i64::from(at.rem_euclid(self.step) != 0)
    }

    /// The last place at or before an instant.
    pub fn place_before(&self, at: i64) -> i64 {
        at.div_euclid(self.step)
    }

    /// The instant of a place.
    pub fn instant(&self, place: i64) -> i64 {
        place * self.step
    }

    /// The first place that has been queried.
    pub fn first(&self) -> Option<i64> {
        self.queried.map(|(first, _)| first)
    }

    /// The last place that has been queried.
    pub fn last(&self) -> Option<i64> {
        self.queried.map(|(_, last)| last)
    }

    /// Takes in the answer for places that have not been queried: right before or right after those that have.
    pub fn take(&mut self, from: i64, to: i64, answer: Vec<Series>) -> Result<Vec<Sample>, Failure> {
        let before = self.queried.is_some_and(|(first, _)| to < first);
        self.queried = Some(self.queried.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
        for Series { labels, points } in answer {
            let places = points.into_iter().map(|(at, value)| ((at + self.step / 2).div_euclid(self.step), value));
            let (good, bad): (Vec<_>, Vec<_>) =
                places.filter(|(place, _)| (from..=to).contains(place)).partition(|(_, value)| value.is_finite());
            self.not_numbers += bad.len() as u64;
            self.points += good.len();
            let known = self.series.entry(labels).or_default();
            if before {
                known.splice(0..0, good);
            } else {
                known.extend(good);
            }
        }
        // A counter's first point of before has a predecessor now.
        let samples = self.samples(from, if before && self.query.kind == Kind::Counter { to + 1 } else { to })?;
        if self.points > KEPT {
            self.cut();
        }
        Ok(samples)
    }

    fn samples(&mut self, from: i64, to: i64) -> Result<Vec<Sample>, Failure> {
        let mut samples = Vec::new();
        for (key, values) in self.values(from, to)? {
            for (place, value) in values {
                let at = u64::try_from(self.instant(place)).unwrap_or(0).saturating_mul(1_000_000);
                let sample = Sample::new(&self.query.name, value).at(at);
                samples.push(key.iter().fold(sample, |sample, (label, value)| sample.tag(label, value)));
            }
        }
        if self.query.kind == Kind::Counter {
            let pairs = self.series.values().flat_map(|points| pairs(points, from, to));
            self.resets += pairs.filter(|((_, before), (_, after))| after < before).count() as u64;
        }
        Ok(samples)
    }

    /// What is recorded at the places of a range, by kept labels: values, or how far a counter rose.
    fn values(&self, from: i64, to: i64) -> Result<BTreeMap<Key, Vec<(i64, f64)>>, Failure> {
        let mut gathered: BTreeMap<Key, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
        for (labels, points) in &self.series {
            let places = gathered.entry(self.key(labels)).or_default();
            if self.query.kind == Kind::Counter {
                for ((_, before), (place, after)) in pairs(points, from, to) {
                    places.entry(place).or_default().push(if after < before { after } else { after - before });
                }
            } else {
                for (place, value) in points.iter().filter(|(place, _)| (from..=to).contains(place)) {
                    places.entry(*place).or_default().push(*value);
                }
            }
        }
        let one = |values: &Vec<f64>| match (values.as_slice(), self.query.kind, self.query.aggregate) {
            ([one], ..) => Ok(*one),
            (several, Kind::Counter, _) => Ok(several.iter().sum()),
            (several, _, Some(aggregate)) => Ok(aggregate.of(several)),
            (several, _, None) => Err(self.ambiguous(several.len())),
        };
        let joined = gathered.iter().map(|(key, places)| {
            let values: Result<Vec<_>, Failure> = places.iter().map(|(place, all)| Ok((*place, one(all)?))).collect();
            Ok((key.clone(), values?))
        });
        joined.collect()
    }

    fn key(&self, labels: &Labels) -> Key {
        let kept = self.query.labels.iter().filter_map(|label| Some((label.clone(), labels.get(label)?.clone())));
        kept.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The labels in which series differ and that are not kept.
    fn ambiguous(&self, count: usize) -> Failure {
        let mut values: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
        for (label, value) in self.series.keys().flatten() {
            values.entry(label).or_default().insert(value);
        }
        let kept = |label: &str| self.query.labels.iter().any(|it| it == label);
        let everywhere = |label: &str| self.series.keys().all(|labels| labels.contains_key(label));
        let differ = values.into_iter().filter(|(label, all)| !kept(label) && (all.len() > 1 || !everywhere(label)));
        let differ: Vec<&str> = differ.map(|(label, _)| label).collect();
        let text = format!(
            "{count} series differ only in labels that are not kept ({}); keep them with `labels`, or say by `aggregate` what \
             becomes of them",
            differ.join(", ")
        );
        Failure::new("ambiguous", text)
    }

    fn cut(&mut self) {
        self.is_cut = true;
        for points in self.series.values_mut() {
            points.drain(..points.len() / 2);
        }
        self.series.retain(|_, points| !points.is_empty());
        self.points = self.series.values().map(Vec::len).sum();
    }

    /// Figures over a window, of each series with its kept labels.
    pub fn figures(&self, from: i64, to: i64) -> Vec<Figures> {
        let is_counter = self.query.kind == Kind::Counter;
        // The first point of a window is where a counter's increase begins.
        let Ok(values) = self.values(if is_counter { from + 1 } else { from }, to) else { return Vec::new() };
        let figures = values.into_iter().filter(|(_, points)| !points.is_empty()).map(|(key, points)| {
            let values = || points.iter().map(|(_, value)| *value);
            let (count, sum) = (points.len(), values().sum::<f64>());
            let of_values = |figure: f64| (!is_counter).then_some(figure);
            let points = i64::try_from(count).unwrap_or(i64::MAX);
            Figures {
                labels: key.iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(", "),
                avg: of_values(sum / count as f64),
                min: of_values(values().fold(f64::INFINITY, f64::min)),
                max: of_values(values().fold(f64::NEG_INFINITY, f64::max)),
                increase: is_counter.then_some(sum),
                points,
                missing: to - from + 1 - i64::from(is_counter) - points,
            }
        });
        figures.collect()
    }

    /// What is missing in a window.
    pub fn gaps(&self, from: i64, to: i64) -> Gaps {
        let mut there = std::collections::BTreeSet::new();
        let mut holes = Vec::new();
        for points in self.series.values() {
            let places = points.iter().map(|(place, _)| *place).filter(|place| (from..=to).contains(place));
            let places: Vec<i64> = places.collect();
            holes.extend(places.windows(2).filter_map(|pair| match pair {
                [a, b] if b - a > 1 => Some((a + 1)..*b),
                _ => None,
            }));
            there.extend(places);
        }
        let expected = to - from + 1;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Gaps {
            expected,
            empty: expected - count(there.len()),
            holes: count(holes.into_iter().flatten().filter(|place| there.contains(place)).count()),
        }
    }
}

/// Each point of a range with the one before it.
fn pairs(points: &[(i64, f64)], from: i64, to: i64) -> impl Iterator<Item = ((i64, f64), (i64, f64))> + '_ {
    let pairs = points.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((*before, *after)),
        _ => None,
    });
    pairs.filter(move |(_, (place, _))| (from..=to).contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Aggregate;

    fn query(kind: Kind, labels: &[&str], aggregate: Option<Aggregate>) -> Query {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Query { name: "m".into(), expr: "x".into(), when: Default::default(), kind, labels, aggregate }
    }

    /// A series on a grid of seconds.
    fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> Series {
        Series {
            labels: labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            points: points.iter().map(|(second, value)| (second * 1000, *value)).collect(),
        }
    }

    fn shown(samples: &[Sample]) -> Vec<(u64, f64)> {
        samples.iter().map(|it| (it.at.unwrap() / 1_000_000_000, it.value)).collect()
    }

    #[test]
    fn every_point_is_emitted_once_and_gaps_are_none() {
        let mut range = RangeQuery::new(query(Kind::Gauge, &[], None), 1000);
        let first = range.take(10, 12, vec![series(&[("pod", "a")], &[(10, 1.0), (11, 2.0)])]).unwrap();
        assert_eq!(shown(&first), [(10, 1.0), (11, 2.0)]);
        assert!(first.iter().all(|sample| sample.tags.is_empty()));
        // Nothing at 12 and 13.
        let next = range.take(13, 15, vec![series(&[("pod", "a")], &[(14, 5.0), (15, f64::NAN)])]).unwrap();
        assert_eq!((shown(&next), range.not_numbers), (vec![(14, 5.0)], 1));
        let head = range.take(9, 9, vec![series(&[("pod", "a")], &[(9, 4.0)])]).unwrap();
        assert_eq!(shown(&head), [(9, 4.0)]);
        assert_eq!(range.gaps(9, 15), Gaps { expected: 7, empty: 3, holes: 0 });
        let wanted = Figures {
            labels: String::new(),
            avg: Some(3.0),
            min: Some(1.0),
            max: Some(5.0),
            increase: None,
            points: 4,
            missing: 3,
        };
        assert_eq!(range.figures(9, 15), [wanted]);
        assert_eq!(range.figures(12, 13), []);
    }

    #[test]
    fn a_counter_is_its_increase_across_resets_and_answers() {
        let mut range = RangeQuery::new(query(Kind::Counter, &["job"], None), 1000);
        let of = |pod: &str, points: &[(i64, f64)]| series(&[("job", "j"), ("pod", pod)], points);
        let first = range.take(10, 11, vec![of("a", &[(10, 100.0), (11, 103.0)]), of("b", &[(10, 7.0), (11, 8.0)])]);
        assert_eq!(shown(&first.unwrap()), [(11, 4.0)]);
        // Begins anew at 12.
        let next = range.take(12, 13, vec![of("a", &[(12, 2.0), (13, 4.0)])]).unwrap();
        assert_eq!((shown(&next), range.resets), (vec![(12, 2.0), (13, 2.0)], 1));
        assert_eq!(next[0].tags, [("job".to_owned(), "j".to_owned())]);
        let head = range.take(9, 9, vec![of("a", &[(9, 99.0)])]).unwrap();
        assert_eq!((shown(&head), range.resets), (vec![(10, 1.0)], 1));
        assert_eq!(range.figures(10, 13)[0].increase, Some(8.0));
        assert_eq!(range.figures(12, 13)[0].increase, Some(2.0));
    }

    #[test]
    fn series_that_look_alike_are_refused_or_joined() {
        let answer = || {
            vec![series(&[("pod", "a"), ("job", "j")], &[(1, 1.0)]), series(&[("pod", "b"), ("job", "j")], &[(1, 3.0)])]
        };
        let failure = RangeQuery::new(query(Kind::Gauge, &["job"], None), 1000).take(1, 1, answer()).unwrap_err();
        assert_eq!(failure.kind, "ambiguous");
        assert!(
            failure.message.starts_with("2 series differ only in labels that are not kept (pod);"),
            "{}",
            failure.message
        );
        let mut range = RangeQuery::new(query(Kind::Gauge, &["job"], Some(Aggregate::Sum)), 1000);
        assert_eq!(shown(&range.take(1, 1, answer()).unwrap()), [(1, 4.0)]);
        let mut range = RangeQuery::new(query(Kind::Gauge, &["pod"], None), 1000);
        assert_eq!(range.take(1, 1, answer()).unwrap().len(), 2);
    }

    #[test]
    fn holes_of_one_series_are_told_apart_from_silence() {
        let mut range = RangeQuery::new(query(Kind::Gauge, &["pod"], None), 1000);
        let a = series(&[("pod", "a")], &[(1, 1.0), (2, 1.0), (4, 1.0), (5, 1.0)]);
        let b = series(&[("pod", "b")], &[(1, 1.0), (5, 1.0)]);
        range.take(1, 6, vec![a, b]).unwrap();
        assert_eq!(range.gaps(1, 6), Gaps { expected: 6, empty: 2, holes: 2 });
    }

    #[test]
    fn places_are_whole_steps() {
        let range = RangeQuery::new(query(Kind::Gauge, &[], None), 5000);
        assert_eq!((range.place_after(10_001), range.place_after(10_000), range.place_before(14_999)), (3, 2, 2));
        assert_eq!(range.instant(3), 15_000);
    }

    #[test]
    fn a_long_run_forgets_its_beginning_and_says_so() {
        let mut range = RangeQuery::new(query(Kind::Gauge, &[], None), 1000);
        let points: Vec<_> = (0..=KEPT as i64).map(|second| (second, 1.0)).collect();
        let samples = range.take(0, KEPT as i64, vec![series(&[], &points)]).unwrap();
        assert_eq!(samples.len(), KEPT + 1);
        assert!(range.is_cut && range.points < KEPT);
    }
}
