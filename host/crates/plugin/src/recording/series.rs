//! Which series a plugin's samples go to: found by one look-up without allocating, made when they first appear.

use std::time::Duration;

use http::Method;
use kperf_http::{Exchange, Timing};
use kperf_metrics::{Builtin, MetricDef, MetricId, Registry, SeriesId, SeriesLimit, Shard, Tags, printable};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::environment::redactor::Redactor;

/// Tags as the guest gives them.
pub(crate) type GuestTags = Vec<(String, String)>;

/// Keys that the host sets; a plugin that sets one would change what they mean.
const RESERVED: [&str; 6] = ["scenario", "operation", "status", "method", "check", "kind"];

/// The longest value of a tag in bytes.
const LONGEST_VALUE: usize = 256;

/// Why a sample was not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unrecorded {
    #[error("the metric `{0}` is not in the plugin's description")]
    Undeclared(String),
    #[error(
        "the tag `{0}` can't be used: keys match [a-z_][a-z0-9_]*, appear once, and are none of {RESERVED:?}; values have at most {LONGEST_VALUE} bytes"
    )]
    Tag(String),
    #[error(transparent)]
    Limit(#[from] SeriesLimit),
}

/// The series of one plugin on one worker.
#[derive(Debug)]
pub(crate) struct SeriesBook {
    registry: Registry,
    tags: Tags,
    /// For names and values that become part of a series: once each, when it is made.
    redactor: Redactor,
    operations: FxHashMap<Box<str>, Variants<HttpSeries>>,
    checks: FxHashMap<Box<str>, Option<SeriesId>>,
    metrics: FxHashMap<Box<str>, (MetricId, Variants<SeriesId>)>,
    sent: Option<SeriesId>,
    received: Option<SeriesId>,
    guest_cpu: Option<SeriesId>,
}

/// One thing under different tags. None stands for tags that were refused, so that they are refused once and not per
/// sample.
#[derive(Debug)]
struct Variants<T> {
    plain: Option<Option<T>>,
    tagged: FxHashMap<GuestTags, Option<T>>,
}

impl<T> Default for Variants<T> {
    fn default() -> Self {
        Self { plain: None, tagged: FxHashMap::default() }
    }
}

impl<T> Variants<T> {
    /// `Ok(None)` if these tags were refused before.
    fn get(
        &mut self,
        tags: &[(String, String)],
        make: impl FnOnce() -> Result<T, Unrecorded>,
    ) -> Result<Option<&mut T>, Unrecorded> {
        let slot = if tags.is_empty() {
            &mut self.plain
        } else if self.tagged.contains_key(tags) {
            return Ok(self.tagged.get_mut(tags).and_then(Option::as_mut));
        } else {
            &mut None
        };
        if slot.is_none() {
            let (made, error) = match make() {
                Ok(made) => (Some(made), None),
                Err(error) => (None, Some(error)),
            };
            if !tags.is_empty() {
                self.tagged.insert(tags.to_vec(), made);
            } else {
                *slot = Some(made);
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
        Ok(if tags.is_empty() {
            self.plain.as_mut().and_then(Option::as_mut)
        } else {
            self.tagged.get_mut(tags).and_then(Option::as_mut)
        })
    }
}

/// All series of one operation. The guest's own tags are on the figures that people look at by them; where the time of a
/// request went is put together, because each value of a tag with many would cost another five distributions.
#[derive(Debug)]
struct HttpSeries {
    tags: Tags,
    /// Without the guest's own.
    plain: Tags,
    failed: SeriesId,
    duration: SeriesId,
    blocked: SeriesId,
    sending: SeriesId,
    waiting: SeriesId,
    receiving: SeriesId,
    response_time: Option<SeriesId>,
    connecting: Option<SeriesId>,
    tls: Option<SeriesId>,
    requests: SmallVec<[(u16, Method, SeriesId); 2]>,
}

/// What a request came to, as far as metrics go.
pub(crate) struct Sent<'a> {
    pub(crate) operation: &'a str,
    pub(crate) tags: &'a [(String, String)],
    pub(crate) method: &'a Method,
    /// 0 without a response.
    pub(crate) status: u16,
    pub(crate) expected: bool,
    pub(crate) exchange: &'a Exchange,
    /// How late the iteration started and the request left; only in the open model.
    pub(crate) late: Option<Duration>,
}

impl SeriesBook {
    pub(crate) fn new(registry: Registry, tags: Tags, redactor: Redactor) -> Self {
        Self {
            registry,
            tags,
            redactor,
            operations: FxHashMap::default(),
            checks: FxHashMap::default(),
            metrics: FxHashMap::default(),
            sent: None,
            received: None,
            guest_cpu: None,
        }
    }

    /// Makes a metric of the plugin's description known.
    pub(crate) fn declare(&mut self, def: &MetricDef) -> Result<(), kperf_metrics::MetricConflict> {
        let id = self.registry.metric(def)?;
        self.metrics.insert((*def.name).into(), (id, Variants::default()));
        Ok(())
    }

    /// Records a request. Connecting and the TLS handshake are recorded only when they happened, durations only when
    /// something was sent.
    pub(crate) fn request(&mut self, shard: &mut Shard, sent: &Sent<'_>) -> Result<(), Unrecorded> {
        let Self { registry, tags, redactor, operations, .. } = self;
        if !operations.contains_key(sent.operation) {
            operations.insert(sent.operation.into(), Variants::default());
        }
        let Some(variants) = operations.get_mut(sent.operation) else { return Ok(()) };
        let made = || {
            let plain = tags.with("operation", &clean(redactor, sent.operation));
            HttpSeries::new(registry, extend(&plain, sent.tags, redactor)?, plain)
        };
        let Some(series) = variants.get(sent.tags, made)? else {
            shard.drop_samples(1);
            return Ok(());
        };
        shard.count(series.requests(registry, sent.status, sent.method)?, 1.0);
        shard.rate(series.failed, !sent.expected);
        let timing = &sent.exchange.timing;
        shard.record_duration(series.blocked, timing.blocked);
        series.phases(registry, shard, timing, sent)?;
        count(registry, tags, &mut self.sent, Builtin::DataSent, shard, sent.exchange.sent_bytes as f64)?;
        count(registry, tags, &mut self.received, Builtin::DataReceived, shard, sent.exchange.received_bytes as f64)
    }

    /// Records a check.
    pub(crate) fn check(&mut self, shard: &mut Shard, name: &str, passed: bool) -> Result<(), Unrecorded> {
        if let Some(known) = self.checks.get(name) {
            match known {
                Some(series) => shard.rate(*series, passed),
                None => shard.drop_samples(1),
            }
            return Ok(());
        }
        let made = self.registry.series(Builtin::Checks.into(), self.tags.with("check", &clean(&self.redactor, name)));
        self.checks.insert(name.into(), made.as_ref().ok().copied());
        shard.rate(made?, passed);
        Ok(())
    }

    /// Records a sample of a declared metric.
    pub(crate) fn sample(
        &mut self,
        shard: &mut Shard,
        metric: &str,
        tags: &[(String, String)],
        value: f64,
        at: Option<u64>,
    ) -> Result<(), Unrecorded> {
        let Some((id, variants)) = self.metrics.get_mut(metric) else {
            shard.drop_samples(1);
            return Err(Unrecorded::Undeclared(metric.into()));
        };
        let (registry, base, redactor) = (&self.registry, &self.tags, &self.redactor);
        match variants.get(tags, || Ok(registry.series(*id, extend(base, tags, redactor)?)?)) {
            Ok(Some(series)) => match at {
                Some(at) => shard.record_at(*series, value, at),
                None => shard.record(*series, value),
            },
            Ok(None) => shard.drop_samples(1),
            Err(error) => {
                shard.drop_samples(1);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Counts processor time that guests used.
    pub(crate) fn guest_cpu(&mut self, shard: &mut Shard, time: Duration) -> Result<(), Unrecorded> {
        count(&self.registry, &self.tags, &mut self.guest_cpu, Builtin::GuestCpu, shard, time.as_secs_f64())
    }
}

/// Adds to one of the plugin's own counters, which is made with its first value.
fn count(
    registry: &Registry,
    tags: &Tags,
    slot: &mut Option<SeriesId>,
    metric: Builtin,
    shard: &mut Shard,
    by: f64,
) -> Result<(), Unrecorded> {
    shard.count(lazily(registry, tags, slot, metric)?, by);
    Ok(())
}

fn lazily(
    registry: &Registry,
    tags: &Tags,
    slot: &mut Option<SeriesId>,
    metric: Builtin,
) -> Result<SeriesId, SeriesLimit> {
    match slot {
        Some(series) => Ok(*series),
        None => Ok(*slot.insert(registry.series(metric.into(), tags.clone())?)),
    }
}

impl HttpSeries {
    fn new(registry: &Registry, tags: Tags, plain: Tags) -> Result<Self, Unrecorded> {
        let series = |metric: Builtin, tags: &Tags| registry.series(metric.into(), tags.clone());
        Ok(Self {
            failed: series(Builtin::HttpReqFailed, &tags)?,
            duration: series(Builtin::HttpReqDuration, &tags)?,
            blocked: series(Builtin::HttpReqBlocked, &plain)?,
            sending: series(Builtin::HttpReqSending, &plain)?,
            waiting: series(Builtin::HttpReqWaiting, &plain)?,
            receiving: series(Builtin::HttpReqReceiving, &plain)?,
            response_time: None,
            connecting: None,
            tls: None,
            requests: SmallVec::new(),
            tags,
            plain,
        })
    }

    /// The counter of requests with this status and method.
    fn requests(&mut self, registry: &Registry, status: u16, method: &Method) -> Result<SeriesId, SeriesLimit> {
        if let Some((.., series)) = self.requests.iter().find(|(s, m, _)| *s == status && m == method) {
            return Ok(*series);
        }
        let tags = self.tags.with("method", method.as_str()).with("status", &status.to_string());
        let series = registry.series(Builtin::HttpReqs.into(), tags)?;
        self.requests.push((status, method.clone(), series));
        Ok(series)
    }

    fn phases(
        &mut self,
        registry: &Registry,
        shard: &mut Shard,
        timing: &Timing,
        sent: &Sent<'_>,
    ) -> Result<(), SeriesLimit> {
        if !timing.connecting.is_zero() {
            let series = lazily(registry, &self.plain, &mut self.connecting, Builtin::HttpReqConnecting)?;
            shard.record_duration(series, timing.connecting);
        }
        if !timing.tls.is_zero() {
            let series = lazily(registry, &self.plain, &mut self.tls, Builtin::HttpReqTlsHandshaking)?;
            shard.record_duration(series, timing.tls);
        }
        let duration = timing.duration();
        if duration.is_zero() {
            return Ok(());
        }
        shard.record_duration(self.duration, duration);
        shard.record_duration(self.sending, timing.sending);
        shard.record_duration(self.waiting, timing.waiting);
        shard.record_duration(self.receiving, timing.receiving);
        if let Some(late) = sent.late {
            let series = lazily(registry, &self.tags, &mut self.response_time, Builtin::HttpReqResponseTime)?;
            shard.record_duration(series, duration + late);
        }
        Ok(())
    }
}

/// The tags with the guest's own.
fn extend(tags: &Tags, more: &[(String, String)], redactor: &Redactor) -> Result<Tags, Unrecorded> {
    for (at, (key, value)) in more.iter().enumerate() {
        let known = RESERVED.contains(&key.as_str()) || more.iter().take(at).any(|(earlier, _)| earlier == key);
        if known || !is_key(key) || value.len() > LONGEST_VALUE {
            return Err(Unrecorded::Tag(key.clone()));
        }
    }
    let mut tags = tags.clone();
    for (key, value) in more {
        // A key with a mask in it is no key any more.
        let masked = redactor.redact(key);
        if !is_key(&masked) {
            return Err(Unrecorded::Tag(masked.into_owned()));
        }
        tags = tags.with(key, &clean(redactor, value));
    }
    Ok(tags)
}

/// A name or value of the plugin's, without secrets and on one line.
fn clean(redactor: &Redactor, text: &str) -> String {
    printable(&redactor.redact(text)).into_owned()
}

/// Whether a text matches `[a-z_][a-z0-9_]*`.
pub(crate) fn is_key(text: &str) -> bool {
    text.bytes()
        .enumerate()
        .all(|(at, byte)| byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit()))
        && !text.is_empty()
}
