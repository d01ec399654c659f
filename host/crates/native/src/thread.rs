//! A collector at work on a thread of its own. Whoever asks waits no longer than the limit: a call that hangs keeps only its
//! own thread, which nothing can end but the end of the process.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::{Collection, Failure, Kind, Observations};

enum Request {
    Collect,
    Finish(u64, u64),
}

type Reply = (Result<(), Failure>, Observations);

/// See the module. Dropping it ends the thread, unless it hangs.
#[derive(Debug)]
pub struct CollectorThread {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    limit: Duration,
    /// A call that hung: there will be no other.
    lost: Option<Failure>,
}

impl CollectorThread {
    pub(crate) fn start(
        kind: Arc<dyn Kind>,
        collection: Collection,
        limit: Duration,
    ) -> Result<(Self, Observations), Failure> {
        let (requests, asked) = mpsc::channel();
        let (answers, replies) = mpsc::channel();
        // Linux shows the first 15 bytes.
        let thread = std::thread::Builder::new().name(collection.name.clone());
        let started = thread.spawn(move || work(&*kind, &collection, &asked, &answers));
        started.map_err(|error| Failure::Failed(format!("can't start a thread: {error}")))?;
        let mut thread = Self { requests, replies, limit, lost: None };
        let (result, observations) = thread.wait("start");
        result.map(|()| (thread, observations))
    }

    /// Takes one observation.
    pub fn collect(&mut self) -> (Result<(), Failure>, Observations) {
        self.ask("collect", Request::Collect)
    }

    /// Takes what can only be had afterwards, for the time in which load ran: nanoseconds since the Unix epoch.
    pub fn finish(&mut self, start: u64, end: u64) -> (Result<(), Failure>, Observations) {
        self.ask("finish", Request::Finish(start, end))
    }

    /// Whether no further call is possible.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    fn ask(&mut self, call: &'static str, request: Request) -> Reply {
        if let Some(lost) = &self.lost {
            return (Err(lost.clone()), Observations::default());
        }
        // If nobody takes it, nobody answers.
        let _ = self.requests.send(request);
        self.wait(call)
    }

    fn wait(&mut self, call: &'static str) -> Reply {
        let lost = match self.replies.recv_timeout(self.limit) {
            Ok(reply) => return reply,
            Err(RecvTimeoutError::Timeout) => Failure::Hung { call, limit: self.limit },
            Err(RecvTimeoutError::Disconnected) => Failure::Gone,
        };
        self.lost = Some(lost.clone());
        (Err(lost), Observations::default())
    }
}

fn work(kind: &dyn Kind, collection: &Collection, asked: &Receiver<Request>, answers: &Sender<Reply>) {
    let mut observations = Observations::default();
    let started = kind.start(collection, &mut observations);
    let (result, collector) = match started {
        Ok(collector) => (Ok(()), Some(collector)),
        Err(failure) => (Err(failure), None),
    };
    let heard = answers.send((result, observations)).is_ok();
    let Some(mut collector) = collector.filter(|_| heard) else { return };
    while let Ok(request) = asked.recv() {
        let mut observations = Observations::default();
        let result = match request {
            Request::Collect => collector.collect(&mut observations),
            Request::Finish(start, end) => collector.finish(start, end, &mut observations),
        };
        if answers.send((result, observations)).is_err() {
            return;
        }
    }
}

/// Runs something on a thread of its own and waits for its result; none if it takes longer than `limit`.
pub(crate) fn apart<T: Send + 'static>(
    name: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, result) = mpsc::channel();
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits any more for what took too long.
        let _ = answer.send(work());
    });
    started.ok()?;
    result.recv_timeout(limit).ok()
}
