//! Where a collector's samples and log lines go during a call.

/// So many samples of one call are taken; further ones are counted.
const MOST: usize = 100_000;
/// So many log lines of one call are taken.
const MOST_LINES: usize = 100;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Good to know.
    Info,
    /// For the collector's author.
    Debug,
}

/// A value that was observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// A metric of the description, if the collector keeps to it.
    pub metric: String,
    /// The sample's own tags, unchecked.
    pub tags: Vec<(String, String)>,
    /// The value, in the metric's unit.
    pub value: f64,
    /// When it was true, in nanoseconds since the Unix epoch; none for now.
    pub unix_ns: Option<u64>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observations {
    /// What was observed.
    pub samples: Vec<Sample>,
    /// What is to be logged.
    pub lines: Vec<(Level, String)>,
    /// Samples beyond what one call may bring.
    pub dropped: u64,
}

impl Observations {
    pub(crate) fn sample(&mut self, sample: Sample) {
        if self.samples.len() < MOST {
            self.samples.push(sample);
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn line(&mut self, level: Level, text: String) {
        if self.lines.len() < MOST_LINES {
            self.lines.push((level, text));
        }
    }

    /// A value of now.
    pub(crate) fn now(&mut self, metric: &str, tags: &[(&str, &str)], value: f64) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.sample(Sample { metric: metric.to_owned(), tags, value, unix_ns: None });
    }
}
