//! Thresholds: `http_req_duration{operation=create_run} p(95) < 500ms`.
//!
//! Parsing needs no metric. Whether the aggregation and the unit fit is a second question ([`Threshold::check`]), asked
//! once the plugins have declared what they emit.

use std::{fmt, ops::Range, time::Duration};

use crate::{Delta, MetricDef, MetricKind, Tags, Totals, Unit};

/// A threshold can't be understood or does not fit its metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ThresholdError {
    /// Where in the text, in bytes.
    pub span: Range<usize>,
    /// What is wrong there, and what to write instead.
    pub message: String,
}

/// Which figure of the metric is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// The arithmetic mean.
    Avg,
    /// The smallest of all values.
    Min,
    /// The largest value.
    Max,
    /// The 50th percentile.
    Med,
    /// A percentile, above 0 and up to 100.
    Percentile(f64),
    /// A counter's sum, or a distribution's number of values.
    Count,
    /// A rate's share, or a counter's increase per second of load.
    Rate,
    /// A gauge's last value.
    Value,
    /// The sum of a distribution's values.
    Sum,
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Avg => f.write_str("avg"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Med => f.write_str("med"),
            Self::Percentile(percent) => write!(f, "p({percent})"),
            Self::Count => f.write_str("count"),
            Self::Rate => f.write_str("rate"),
            Self::Value => f.write_str("value"),
            Self::Sum => f.write_str("sum"),
        }
    }
}

/// How the figure is compared with the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Longer ones first, so that `<=` is not read as `<`.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether `figure` stands in this relation to `bound`.
    #[expect(clippy::float_cmp, reason = "`==` in a suite means exactly that")]
    pub fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Self::Less => figure < bound,
            Self::LessOrEqual => figure <= bound,
            Self::Greater => figure > bound,
            Self::GreaterOrEqual => figure >= bound,
            Self::Equal => figure == bound,
            Self::NotEqual => figure != bound,
        }
    }
}

/// How a threshold stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evaluation {
    /// It holds; the figure seen, in the metric's unit (or per second of it).
    Pass(f64),
    /// It does not hold; the figure seen.
    Breach(f64),
    /// There is nothing to judge.
    NoSamples,
}

impl Evaluation {
    /// The figure seen.
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Pass(value) | Self::Breach(value) => Some(value),
            Self::NoSamples => None,
        }
    }
}

/// What kind of amount the bound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Plain,
    Time,
    Share,
    Size,
}

/// Unit words, the kind of amount they mean, and their factor.
const UNITS: [(&str, Amount, f64); 15] = [
    ("us", Amount::Time, 1e-6),
    ("µs", Amount::Time, 1e-6),
    ("ms", Amount::Time, 1e-3),
    ("s", Amount::Time, 1.0),
    ("m", Amount::Time, 60.0),
    ("h", Amount::Time, 3600.0),
    ("%", Amount::Share, 1e-2),
    ("B", Amount::Size, 1.0),
    ("KB", Amount::Size, 1e3),
    ("KiB", Amount::Size, 1024.0),
    ("MB", Amount::Size, 1e6),
    ("MiB", Amount::Size, 1_048_576.0),
    ("GB", Amount::Size, 1e9),
    ("GiB", Amount::Size, 1_073_741_824.0),
    ("", Amount::Plain, 1.0),
];

/// A statement about a metric that a run has to fulfil.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    metric: String,
    metric_span: Range<usize>,
    selector: Tags,
    aggregation: Aggregation,
    aggregation_span: Range<usize>,
    comparison: Comparison,
    bound: f64,
    amount: Amount,
    per_second: bool,
    bound_span: Range<usize>,
}

impl Threshold {
    /// Reads a threshold.
    ///
    /// ```text
    /// threshold   = metric [ "{" [ tag { "," tag } ] "}" ] aggregation comparison value
    /// metric      = name
    /// tag         = name "=" ( quoted | bare )
    /// aggregation = "avg" | "min" | "max" | "med" | "count" | "rate" | "value" | "sum" | "p" "(" number ")"
    /// comparison  = "<" | "<=" | ">" | ">=" | "==" | "!="
    /// value       = number [ unit ] [ "/s" ]
    /// unit        = "us" | "ms" | "s" | "m" | "h" | "%" | "B" | "KB" | "KiB" | "MB" | "MiB" | "GB" | "GiB"
    /// name        = ( letter | "_" ) { letter | digit | "_" }
    /// number      = [ "-" ] digit { digit | "_" } [ "." digit { digit } ]
    /// quoted      = '"' { any character but '"' } '"'
    /// bare        = one or more characters but "," "}" '"' and white space
    /// ```
    /// White space may stand between any two parts.
    ///
    /// # Errors
    /// At the first part that does not fit.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let mut reader = Reader { text, at: 0 };
        reader.space();
        let (metric, metric_span) = reader.name("a metric's name, like `http_req_duration`")?;
        let selector = reader.selector()?;
        let (aggregation, aggregation_span) = reader.aggregation()?;
        let comparison = reader.comparison()?;
        let (bound, amount, per_second, bound_span) = reader.bound()?;
        reader.space();
        if reader.at < text.len() {
            return Err(reader.error("nothing after the value: one threshold per text"));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            metric: metric.to_owned(),
            metric_span,
            selector,
            aggregation,
            aggregation_span,
            comparison,
            bound,
            amount,
            per_second,
            bound_span,
        })
    }

    /// The metric's name.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Where the metric's name stands in the text, in bytes.
    pub fn metric_span(&self) -> Range<usize> {
        self.metric_span.clone()
    }

    /// Which series are meant.
    pub fn selector(&self) -> &Tags {
        &self.selector
    }

    /// The figure that is compared.
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation
    }

    /// The bound, in the metric's unit (or per second of it).
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// How the figure is compared with the bound.
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// The same threshold on series that also have this tag; one that the text names itself stays.
    #[must_use]
    pub fn within(mut self, key: &str, value: &str) -> Self {
        if self.selector.get(key).is_none() {
            self.selector = self.selector.with(key, value);
        }
        self
    }

    /// The unit of the figure that is compared (per second, for the rate of a counter).
    pub fn unit(&self, def: &MetricDef) -> Unit {
        match (def.kind, self.aggregation) {
            (MetricKind::Distribution, Aggregation::Count) => Unit::None,
            (MetricKind::Rate, _) => Unit::Ratio,
            _ => def.unit,
        }
    }

    /// Whether aggregation and unit fit the metric.
    ///
    /// # Errors
    /// When they don't; the message says what would fit.
    pub fn check(&self, def: &MetricDef) -> Result<(), ThresholdError> {
        use Aggregation as A;
        let (fits, offer) = match def.kind {
            MetricKind::Counter => (matches!(self.aggregation, A::Count | A::Rate), "`count` and `rate` (per second)"),
            MetricKind::Gauge => (
                matches!(self.aggregation, A::Value | A::Min | A::Max | A::Avg),
                "`value` (the last one), `min`, `max` and `avg`",
            ),
            MetricKind::Rate => (matches!(self.aggregation, A::Rate), "`rate`"),
            MetricKind::Distribution => (
                !matches!(self.aggregation, A::Rate | A::Value),
                "`avg`, `min`, `max`, `med`, `p(N)`, `count` and `sum`",
            ),
        };
        let Self { aggregation, metric, .. } = self;
        if !fits {
            let message = format!("`{aggregation}` does not work on `{metric}`, which is a {}: {offer} do", def.kind);
            return Err(ThresholdError { span: self.aggregation_span.clone(), message });
        }
        let unit = self.unit(def);
        let per_second = def.kind == MetricKind::Counter && *aggregation == A::Rate;
        let (fits, example) = match unit {
            Unit::None => (self.amount == Amount::Plain, "a number"),
            // A bare 500 was milliseconds elsewhere and would be seconds here: make people say it. 0 needs no unit.
            Unit::Seconds if !per_second => (
                self.amount == Amount::Time || (self.amount == Amount::Plain && self.bound == 0.0),
                "a time like `500ms`",
            ),
            Unit::Seconds => (matches!(self.amount, Amount::Time | Amount::Plain), "CPU seconds, like `0.5`"),
            Unit::Bytes => (matches!(self.amount, Amount::Size | Amount::Plain), "a size like `10MiB`"),
            Unit::Ratio => (matches!(self.amount, Amount::Share | Amount::Plain), "a share like `1%`"),
        };
        let slash = if per_second { ", per second: `/s` may follow" } else { "" };
        if !fits || (self.per_second && !per_second) {
            let message = format!("`{aggregation}` of `{metric}` is compared with {example}{slash}");
            return Err(ThresholdError { span: self.bound_span.clone(), message });
        }
        Ok(())
    }

    /// How the threshold stands after `elapsed` seconds of load.
    pub fn evaluate(&self, totals: &Totals, elapsed: Duration) -> Evaluation {
        let Some(figure) = totals.select(&self.metric, &self.selector).and_then(|delta| self.figure(&delta, elapsed))
        else {
            return Evaluation::NoSamples;
        };
        if self.comparison.holds(figure, self.bound) { Evaluation::Pass(figure) } else { Evaluation::Breach(figure) }
    }

    /// The figure, if the kind has it and there is at least one sample.
    fn figure(&self, delta: &Delta, elapsed: Duration) -> Option<f64> {
        use Aggregation as A;
        match (delta, self.aggregation) {
            (Delta::Counter(sum), A::Count) => Some(*sum),
            (Delta::Counter(sum), A::Rate) => (!elapsed.is_zero()).then(|| sum / elapsed.as_secs_f64()),
            (Delta::Gauge(gauge), A::Value) => Some(gauge.last),
            (Delta::Gauge(gauge), A::Min) => Some(gauge.min),
            (Delta::Gauge(gauge), A::Max) => Some(gauge.max),
            (Delta::Gauge(gauge), A::Avg) => Some(gauge.mean()),
            (Delta::Rate(rate), A::Rate) => (rate.total > 0).then(|| rate.share()),
            (Delta::Distribution(histogram), aggregation) if histogram.count() > 0 => match aggregation {
                A::Avg => Some(histogram.mean()),
                A::Min => Some(histogram.min()),
                A::Max => Some(histogram.max()),
                A::Med => Some(histogram.percentile(50.0)),
                A::Percentile(percent) => Some(histogram.percentile(percent)),
                A::Count => Some(histogram.count() as f64),
                A::Sum => Some(histogram.sum()),
                A::Rate | A::Value => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A place in the text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the longest run of characters that fit.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> (&'a str, Range<usize>) {
        let rest = self.rest();
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let span = self.at..self.at + length;
        self.at += length;
        (rest.get(..length).unwrap_or_default(), span)
    }

    /// Takes this text if it is next, after white space.
    fn take(&mut self, text: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Something else was expected here; the span covers the next word.
    fn error(&self, expected: &str) -> ThresholdError {
        let rest = self.rest();
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        ThresholdError { span: self.at..self.at + word, message: format!("expected {expected}") }
    }

    fn name(&mut self, expected: &str) -> Result<(&'a str, Range<usize>), ThresholdError> {
        if !self.rest().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.error(expected));
        }
        Ok(self.run(|c| c.is_ascii_alphanumeric() || c == '_'))
    }

    fn selector(&mut self) -> Result<Tags, ThresholdError> {
        let mut pairs = Vec::new();
        if !self.take("{") || self.take("}") {
            return Ok(Tags::default());
        }
        loop {
            self.space();
            let (key, _) = self.name("a tag's name, like `operation`")?;
            if !self.take("=") {
                return Err(self.error("`=` and the tag's value"));
            }
            let value = if self.take("\"") {
                let (value, _) = self.run(|c| c != '"');
                if !self.take("\"") {
                    return Err(self.error("a closing `\"`"));
                }
                value
            } else {
                let (value, _) = self.run(|c| !matches!(c, ',' | '}' | '"') && !c.is_whitespace());
                if value.is_empty() {
                    return Err(self.error("the tag's value"));
                }
                value
            };
            pairs.push((key, value));
            if self.take("}") {
                return Ok(Tags::new(pairs));
            }
            if !self.take(",") {
                return Err(self.error("`,` or `}`"));
            }
        }
    }

    fn aggregation(&mut self) -> Result<(Aggregation, Range<usize>), ThresholdError> {
        const EXPECTED: &str = "one of avg, min, max, med, p(N), count, rate, value, sum";
        self.space();
        let start = self.at;
        let (word, _) = self.name(EXPECTED)?;
        let aggregation = match word {
            "avg" => Aggregation::Avg,
            "min" => Aggregation::Min,
            "max" => Aggregation::Max,
            "med" => Aggregation::Med,
            "count" => Aggregation::Count,
            "rate" => Aggregation::Rate,
            "value" => Aggregation::Value,
            "sum" => Aggregation::Sum,
            "p" if self.take("(") => {
                self.space();
                let from = self.at;
                let percent = self.number().filter(|percent| *percent > 0.0 && *percent <= 100.0);
                let (Some(percent), true) = (percent, self.take(")")) else {
                    self.at = from;
                    return Err(self.error("a number above 0 and up to 100, and `)`, like `p(95)`"));
                };
                Aggregation::Percentile(percent)
            }
            _ => {
                self.at = start;
                return Err(self.error(EXPECTED));
            }
        };
        Ok((aggregation, start..self.at))
    }

    fn comparison(&mut self) -> Result<Comparison, ThresholdError> {
        for (text, comparison) in Comparison::ALL {
            if self.take(text) {
                return Ok(comparison);
            }
        }
        Err(self.error("one of <, <=, >, >=, ==, !="))
    }

    fn number(&mut self) -> Option<f64> {
        let from = self.at;
        let sign = if self.rest().starts_with('-') { 1 } else { 0 };
        self.at += sign;
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            self.run(|c| c.is_ascii_digit() || c == '_' || c == '.');
        }
        let digits = self.text.get(from..self.at)?.replace('_', "");
        digits.parse().ok().filter(|value: &f64| value.is_finite())
    }

    fn bound(&mut self) -> Result<(f64, Amount, bool, Range<usize>), ThresholdError> {
        self.space();
        let start = self.at;
        let Some(number) = self.number() else {
            self.at = start;
            return Err(self.error("a number with its unit, like `500ms`, `1%`, `10MiB` or `100`"));
        };
        self.space();
        let (word, span) = self.run(|c| c.is_alphabetic() || c == '%');
        let Some((_, amount, factor)) = UNITS.into_iter().find(|(unit, _, _)| *unit == word) else {
            let message = format!("`{word}` is no unit: us, ms, s, m, h, %, B, KB, KiB, MB, MiB, GB and GiB are");
            return Err(ThresholdError { span, message });
        };
        let end = self.at;
        let per_second = self.take("/");
        if per_second && !self.take("s") {
            return Err(self.error("`s`: rates are per second"));
        }
        Ok((number * factor, amount, per_second, start..if per_second { self.at } else { end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builtin, Registry, Shard};

    #[test]
    fn every_form_is_read() {
        let threshold =
            Threshold::parse(r#"http_req_duration{operation=create_run, why = "a, b} c"} p(99.9) <= 1_500 ms"#);
        let threshold = threshold.unwrap();
        assert_eq!(threshold.metric(), "http_req_duration");
        assert_eq!(threshold.selector(), &Tags::new([("operation", "create_run"), ("why", "a, b} c")]));
        assert_eq!(threshold.aggregation(), Aggregation::Percentile(99.9));
        assert_eq!((threshold.comparison(), threshold.bound()), (Comparison::LessOrEqual, 1.5));
        let bounds = [
            ("x rate<1%", 0.01),
            ("x{} count>100", 100.0),
            ("x rate > 50/s", 50.0),
            ("x avg < 250us", 0.00025),
            ("x max!=2h", 7200.0),
            ("x sum == 1.5MiB", 1_572_864.0),
            ("  x min >= -3  ", -3.0),
            ("data_sent rate < 10 MB/s", 1e7),
        ];
        for (text, bound) in bounds {
            let threshold = Threshold::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!((threshold.bound() - bound).abs() < 1e-12, "{text}: {}", threshold.bound());
            assert_eq!(threshold.to_string(), text.trim());
        }
    }

    #[test]
    fn errors_point_at_the_part_that_is_wrong() {
        let cases = [
            ("", "", "a metric's name"),
            ("9lives p(95) < 1s", "9lives", "a metric's name"),
            ("x{operation} p(95) < 1s", "}", "`=`"),
            ("x{operation=} p(95) < 1s", "}", "the tag's value"),
            ("x{a=\"b} p(95) < 1s", "", "a closing"),
            ("x{a=b p(95) < 1s", "p(95)", "`,` or `}`"),
            ("x mean < 1s", "mean", "one of avg"),
            ("x p95 < 1s", "p95", "p(N)"),
            ("x p(0) < 1s", "0)", "above 0"),
            ("x p(101) < 1s", "101)", "up to 100"),
            ("x p(95) 1s", "1s", "one of <"),
            ("x p(95) < fast", "fast", "a number with its unit"),
            ("x p(95) < 5 parsecs", "parsecs", "is no unit"),
            ("x rate < 5/m", "m", "per second"),
            ("x rate < 5 and more", "and", "is no unit"),
            ("x rate < 5% of it", "of", "nothing after the value"),
            ("x rate < 1.2.3", "1.2.3", "a number"),
        ];
        for (text, at, message) in cases {
            let error = Threshold::parse(text).unwrap_err();
            assert_eq!(&text[error.span.clone()], at, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn aggregation_and_unit_have_to_fit_the_metric() {
        let cases = [
            ("http_req_duration p(95) < 500ms", None),
            ("http_req_duration max < 0", None),
            ("http_req_duration count > 5", None),
            ("http_reqs rate > 50/s", None),
            ("http_reqs rate > 50", None),
            ("data_received rate < 1MB/s", None),
            ("data_received count < 1GiB", None),
            ("http_req_failed rate < 1%", None),
            ("http_req_failed rate < 0.01", None),
            ("vus value == 5", None),
            ("guest_cpu rate < 0.5", None),
            ("http_reqs p(95) < 5", Some(("p(95)", "`count` and `rate`"))),
            ("http_req_duration rate < 5", Some(("rate", "`p(N)`"))),
            ("http_req_failed count < 5", Some(("count", "`rate` do"))),
            ("vus sum < 5", Some(("sum", "`value`"))),
            ("http_req_duration p(95) < 500", Some(("500", "a time like `500ms`"))),
            ("data_sent count < 5ms", Some(("5ms", "a size like `10MiB`"))),
            ("http_req_duration p(95) < 5ms/s", Some(("5ms/s", "a time"))),
            ("http_req_failed rate < 1/s", Some(("1/s", "a share"))),
            ("http_reqs rate > 5% ", Some(("5%", "per second"))),
        ];
        for (text, expected) in cases {
            let threshold = Threshold::parse(text).unwrap();
            let def = Registry::default().named(threshold.metric()).unwrap();
            match (threshold.check(&def), expected) {
                (Ok(()), None) => {}
                (Err(error), Some((at, message))) => {
                    assert_eq!(&text[error.span.clone()], at, "{text}");
                    assert!(error.message.contains(message), "{text}: {error}");
                }
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn figures_are_taken_from_all_matching_series() {
        let registry = Registry::default();
        let mut shard = Shard::new(registry.clone(), 0);
        for (operation, ms) in [("create", 100), ("get", 10)] {
            let tags = Tags::new([("scenario", "s"), ("operation", operation)]);
            let id = |builtin: Builtin| registry.series(builtin.into(), tags.clone()).unwrap();
            for at in 0..50_u64 {
                shard.count(id(Builtin::HttpReqs), 1.0);
                shard.rate(id(Builtin::HttpReqFailed), at == 0);
                shard.record_ns(id(Builtin::HttpReqDuration), ms * 1_000_000);
            }
        }
        let vus = registry.series(Builtin::Vus.into(), Tags::new([("scenario", "s")])).unwrap();
        for value in [3.0, 9.0, 6.0] {
            shard.gauge(vus, value);
        }
        let mut totals = Totals::new(registry);
        totals.add(&shard.take(1));
        let cases = [
            ("http_reqs count == 100", Evaluation::Pass(100.0)),
            ("http_reqs rate > 50/s", Evaluation::Breach(10.0)),
            ("http_req_failed rate < 1%", Evaluation::Breach(0.02)),
            ("http_req_failed{operation=get} rate <= 2%", Evaluation::Pass(0.02)),
            ("http_req_duration max <= 100ms", Evaluation::Pass(0.1)),
            ("http_req_duration{operation=get} p(95) < 50ms", Evaluation::Pass(0.01)),
            ("http_req_duration count > 99", Evaluation::Pass(100.0)),
            ("vus value < 6", Evaluation::Breach(6.0)),
            ("vus avg == 6", Evaluation::Pass(6.0)),
            ("http_reqs{operation=none} count < 1", Evaluation::NoSamples),
            ("checks rate > 0", Evaluation::NoSamples),
            ("unheard_of count > 0", Evaluation::NoSamples),
        ];
        for (text, want) in cases {
            let threshold = Threshold::parse(text).unwrap().within("scenario", "s");
            assert_eq!(threshold.evaluate(&totals, Duration::from_secs(10)), want, "{text}");
        }
        let rate = Threshold::parse("http_reqs rate > 1").unwrap();
        assert_eq!(rate.evaluate(&totals, Duration::ZERO), Evaluation::NoSamples);
        let other = Threshold::parse("http_reqs{scenario=t} count > 1").unwrap().within("scenario", "s");
        assert_eq!(other.evaluate(&totals, Duration::from_secs(1)), Evaluation::NoSamples);
    }
}
