//! `histograms.hlog`: every distribution of every second in the HdrHistogram interval log format.
//!
//! The tag is the series, with `;` between its tags because the format keeps commas and white space to itself:
//! `http_req_duration{operation=create_run;scenario=runs}`.

use std::{
    fmt::Write as _,
    io,
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compress, Compression, FlushCompress, Status};
use hdrhistogram::{
    Counter, Histogram as Hdr,
    serialization::{
        Serializer, V2SerializeError, V2Serializer,
        interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag},
    },
};
use kperf_metrics::{Histogram, SeriesInfo};

/// A histogram could not be written.
pub(crate) type LogError = IntervalLogWriterError<V2SerializeError>;

/// The compressed V2 format with one compressor for all histograms: the crate's own serializer makes a new one for each,
/// which takes several times as long and is what a long run with many series would wait for at its end.
pub(crate) struct FastV2 {
    compressor: Compress,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Default for FastV2 {
    fn default() -> Self {
        Self { compressor: Compress::new(Compression::fast(), true), plain: Vec::new(), packed: Vec::new() }
    }
}

impl FastV2 {
    /// What a compressed V2 histogram begins with (HdrHistogram, `V2CompressedEncodingCookieBase` with the word size).
    const COOKIE: u32 = 0x1c84_9314;
}

impl Serializer for FastV2 {
    type SerializeError = V2SerializeError;

    fn serialize<T: Counter, W: io::Write>(
        &mut self,
        histogram: &Hdr<T>,
        writer: &mut W,
    ) -> Result<usize, V2SerializeError> {
        self.plain.clear();
        self.packed.clear();
        V2Serializer::new().serialize(histogram, &mut self.plain)?;
        // What can't be compressed is stored, with a few bytes for each 16 KiB.
        self.packed.reserve(self.plain.len() + self.plain.len() / 100 + 64);
        self.compressor.reset();
        let done = self.compressor.compress_vec(&self.plain, &mut self.packed, FlushCompress::Finish);
        if done.map_err(io::Error::other)? != Status::StreamEnd {
            return Err(io::Error::other("a compressed histogram does not fit").into());
        }
        let length = u32::try_from(self.packed.len()).map_err(io::Error::other)?;
        writer.write_all(&Self::COOKIE.to_be_bytes())?;
        writer.write_all(&length.to_be_bytes())?;
        writer.write_all(&self.packed)?;
        Ok(self.packed.len() + 8)
    }
}

/// Writes the log of a run.
pub(crate) struct HistogramLog<'a, W: io::Write> {
    writer: IntervalLogWriter<'a, 'a, W, FastV2>,
    /// The run's start, in nanoseconds since the Unix epoch.
    start: u64,
}

impl<'a, W: io::Write> HistogramLog<'a, W> {
    /// Begins a log whose seconds are counted from `start`, in nanoseconds since the Unix epoch.
    pub(crate) fn new(into: &'a mut W, serializer: &'a mut FastV2, start: u64) -> io::Result<Self> {
        let writer = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("Values: seconds in nanoseconds, bytes in bytes, numbers and ratios in thousandths.")
            .with_start_time(UNIX_EPOCH + Duration::from_nanos(start))
            .begin_log_with(into, serializer)?;
        Ok(Self { writer, start })
    }

    /// Adds what one series gathered in one second.
    pub(crate) fn push(&mut self, second: i64, info: &SeriesInfo, histogram: &Histogram) -> Result<(), LogError> {
        let from = i128::from(self.start) + i128::from(second) * 1_000_000_000;
        let from = Duration::from_nanos(u64::try_from(from.max(0)).unwrap_or(u64::MAX));
        let tag = tag(info);
        self.writer.write_histogram(histogram.buckets(), from, Duration::from_secs(1), Tag::new(&tag))
    }
}

/// The series as a word: what the format does not allow in a tag is written as `%` and its code.
fn tag(info: &SeriesInfo) -> String {
    let mut word = info.metric.name.to_string();
    let mut between = '{';
    for (key, value) in info.tags.iter() {
        word.push(between);
        between = ';';
        for c in [key, "=", value].into_iter().flat_map(str::chars) {
            if matches!(c, ',' | ';' | '%' | '{' | '}') || c.is_whitespace() || c.is_control() {
                // Writing to a text can't fail.
                let _ = write!(word, "%{:02X}", u32::from(c));
            } else {
                word.push(c);
            }
        }
    }
    if between == ';' {
        word.push('}');
    }
    word
}

#[cfg(test)]
mod tests {
    use hdrhistogram::{
        Histogram as Hdr,
        serialization::{
            Deserializer,
            interval_log::{IntervalLogIterator, LogEntry},
        },
    };
    use kperf_metrics::{Builtin, Registry, Tags, Unit};

    use super::*;

    #[test]
    fn the_log_is_read_back_by_the_formats_own_reader() {
        use base64::Engine as _;

        let registry = Registry::default();
        let tags = Tags::new([("scenario", "a b,c;d\n"), ("operation", "get")]);
        let id = registry.series(Builtin::HttpReqDuration.into(), tags).unwrap();
        let info = registry.info(id).unwrap();
        let mut histogram = Histogram::new(Unit::Seconds);
        // Large enough that the compressor can't hold it back.
        (1..20_000).map(|n: u64| n * n * 1_000).for_each(|ns| histogram.record_raw(ns));
        [1_000_000, 2_000_000, 3_000_000].into_iter().for_each(|ns| histogram.record_raw(ns));
        let (mut text, mut serializer) = (Vec::new(), FastV2::default());
        let mut log = HistogramLog::new(&mut text, &mut serializer, 1_700_000_000_000_000_000).unwrap();
        log.push(7, &info, &histogram).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(&text).map(|entry| entry.unwrap()).collect();
        let LogEntry::StartTime(start) = &entries[0] else { panic!("{entries:?}") };
        assert_eq!(start.as_secs(), 1_700_000_000);
        let LogEntry::Interval(interval) = &entries[1] else { panic!("{entries:?}") };
        assert_eq!(interval.start_timestamp().as_secs(), 1_700_000_007);
        let tag = interval.tag().map(|tag| tag.as_str().to_owned());
        assert_eq!(tag.as_deref(), Some("http_req_duration{operation=get;scenario=a%20b%2Cc%3Bd%0A}"));
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
        let buckets: Hdr<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(&buckets, histogram.buckets());
    }
}
