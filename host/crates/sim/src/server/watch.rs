//! Watches of the Kubernetes API: answers that go on until their time is up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::time::Instant;

use crate::kubernetes::{Resource, Selection, StatusError, bookmark, failed};
use crate::query::Query;
use crate::server::reset::ConnectionReset;
use crate::server::shared::Shared;
use crate::timestamp::Nanos;

/// How often a watch asks the store for changes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest time of a watch, and the time of one whose client names none.
const LONGEST: Duration = Duration::from_secs(1800);

/// The body of a watch: JSON objects, one a line.
pub(crate) type Watch = StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, ConnectionReset>> + Send>>>;

struct Watcher {
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    resource: Resource,
    selection: Selection,
    /// The first lines, and the version after which it goes on; or the refusal.
    begin: Option<Result<(String, Nanos), StatusError>>,
    since: Nanos,
    until: Instant,
    bookmarks: bool,
    /// [`Shared::watch_generation`] when this watch began.
    generation: u64,
    over: bool,
}

/// Watches from the version that the client names.
pub(crate) fn watch(
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    resource: Resource,
    selection: Selection,
    query: &Query,
) -> Watch {
    let begin = {
        let mut store = shared.store.lock();
        store.catch_up();
        store.watch_from(&selection, query)
    };
    let seconds = query.get("timeoutSeconds").and_then(|text| text.parse().ok()).map_or(LONGEST, Duration::from_secs);
    let watcher = Watcher {
        generation: shared.watch_generation.load(Ordering::Relaxed),
        shared,
        reset,
        resource,
        selection,
        begin: Some(begin),
        since: 0,
        until: Instant::now() + seconds.min(LONGEST),
        bookmarks: query.flag("allowWatchBookmarks"),
        over: false,
    };
    StreamBody::new(Box::pin(unfold(watcher, Watcher::next)))
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, ConnectionReset>, Self)> {
        let sent = |text: String, this| Some((Ok(Frame::data(Bytes::from(text))), this));
        match self.begin.take() {
            // As the API server's watch cache does: the answer has begun when it finds out.
            Some(Err(refusal)) => {
                self.over = true;
                return sent(failed(&refusal), self);
            }
            Some(Ok((text, since))) => {
                self.since = since;
                if !text.is_empty() {
                    return sent(text, self);
                }
            }
            None => {}
        }
        while !self.over {
            if self.shared.watch_generation.load(Ordering::Relaxed) != self.generation {
                self.over = true;
                self.reset.store(true, Ordering::Relaxed);
                return Some((Err(ConnectionReset), self));
            }
            self.over = Instant::now() >= self.until;
            let mut text = {
                let mut store = self.shared.store.lock();
                store.catch_up();
                let now = store.cluster.now();
                let text = store.changes(&self.selection, self.since, now);
                self.since = self.since.max(now);
                text
            };
            if self.over && self.bookmarks {
                text.push_str(&bookmark(self.resource, self.since));
            }
            if !text.is_empty() {
                return sent(text, self);
            }
            if !self.over {
                tokio::time::sleep(POLL_INTERVAL.min(self.until.saturating_duration_since(Instant::now()))).await;
            }
        }
        None
    }
}
