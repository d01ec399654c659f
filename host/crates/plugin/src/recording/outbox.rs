//! `outbox.jsonl`: the messages that reporters hand to the host, and what became of them.
//!
//! In come [`Message`]s, each written down before it is sent, and [`DeliveryState`]s; out come the messages that have not arrived, read
//! back from the file when somebody wants to send them again. A message holds the names of secrets and never a secret. The file
//! is made with the first message, and locked, so that nobody sends again while the run goes on.
//!
//! This module must not know guests and sends nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::recording::ledger::private;

/// Messages of one run; a plugin that writes more has gone wild.
const MOST: u64 = 10_000;

/// Why the outbox can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another process holds it.
    #[error("the run still goes on, or its messages are being sent already: another process holds outbox.jsonl")]
    Held,
    /// Too many messages.
    #[error("more than {MOST} messages in one run; send fewer")]
    Full,
    /// The file can't be written or read.
    #[error("can't use outbox.jsonl: {0}; check the run's folder and the space on its disk")]
    File(#[from] io::Error),
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the run, from 1.
    pub number: u64,
    /// The reporter's name in the suite.
    pub reporter: String,
    /// What it is about.
    pub key: String,
    /// The name of the operation.
    pub operation: String,
    /// `POST`, ...
    pub method: String,
    /// A path below the reporter's target, an absolute URL, or nothing for the target's URL as it is.
    pub url: String,
    /// The plugin's headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<Piece>,
    /// The credential that the plugin asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Where `true` has to stand in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// A piece of a message's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Piece {
    /// This text.
    Text(String),
    /// The secret of the credential with this name.
    Secret(String),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The service has taken it.
    Arrived,
    /// It has not arrived.
    Kept,
    /// A newer one with the same key took its place.
    Replaced,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Message(Message),
    Outcome {
        number: u64,
        #[serde(rename = "fate")]
        state: DeliveryState,
        tries: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

/// The outbox of a run, shared by its reporters.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Option<File>,
    /// Whether the file ends in the middle of a line.
    torn: bool,
    last: u64,
}

impl Outbox {
    /// The outbox of a new run, in its folder. Nothing is written before the first message.
    #[must_use]
    pub fn create(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::new(State { file: None, torn: false, last: 0 }) }
    }

    /// The outbox of a run that is over, and the messages that have not arrived, in their order. Of messages with the same key
    /// only the last one counts; the others are marked as replaced. None if the run has none.
    ///
    /// # Errors
    /// When the run still goes on, or the file can't be read and written.
    pub fn open(path: &Path) -> Result<Option<(Self, Vec<Message>)>, OutboxError> {
        let mut file = match OpenOptions::new().append(true).read(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        hold(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Contents { wanted, replaced, last } = Contents::of(&bytes);
        let torn = bytes.last().is_some_and(|byte| *byte != b'\n');
        let outbox = Self { path: path.to_owned(), state: Mutex::new(State { file: Some(file), torn, last }) };
        for message in replaced {
            outbox.outcome(message.number, DeliveryState::Replaced, 0, None)?;
        }
        Ok(Some((outbox, wanted)))
    }

    /// How many messages have not arrived.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let _still = self.state.lock();
        std::fs::read(&self.path).map_or(0, |bytes| Contents::of(&bytes).wanted.len())
    }

    /// Writes a message down and gives it its number.
    ///
    /// # Errors
    /// When it can't be written, or there are too many.
    pub fn put(&self, mut message: Message) -> Result<Message, OutboxError> {
        let state = &mut *self.state.lock();
        if state.last >= MOST {
            return Err(OutboxError::Full);
        }
        state.last += 1;
        message.number = state.last;
        self.write(state, &Line::Message(message.clone()))?;
        Ok(message)
    }

    /// Writes down what became of a message, after so many tries.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn outcome(
        &self,
        number: u64,
        state: DeliveryState,
        tries: u32,
        why: Option<String>,
    ) -> Result<(), OutboxError> {
        self.write(&mut self.state.lock(), &Line::Outcome { number, state, tries, why })
    }

    fn write(&self, state: &mut State, line: &Line) -> Result<(), OutboxError> {
        let file = match &mut state.file {
            Some(file) => file,
            none => {
                let file = private(OpenOptions::new().append(true).create_new(true)).open(&self.path)?;
                hold(&file)?;
                none.insert(file)
            }
        };
        let mut text = if state.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut text, line).map_err(io::Error::from)?;
        text.push(b'\n');
        let written = file.write_all(&text);
        state.torn = written.is_err();
        Ok(written?)
    }
}

/// What an outbox's file says.
struct Contents {
    /// Messages that have not arrived and should.
    wanted: Vec<Message>,
    /// Messages that have not arrived, and whose place a newer one took.
    replaced: Vec<Message>,
    /// The highest number.
    last: u64,
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let (mut open, mut last) = (BTreeMap::new(), 0);
        let mut newest: BTreeMap<(String, String), u64> = BTreeMap::new();
        // A line that a full disk has torn is no message.
        for line in bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
            match line {
                Line::Message(message) => {
                    last = last.max(message.number);
                    newest.insert((message.reporter.clone(), message.key.clone()), message.number);
                    open.insert(message.number, message);
                }
                Line::Outcome { state: DeliveryState::Kept, .. } => {}
                Line::Outcome { number, .. } => drop(open.remove(&number)),
            }
        }
        let is_newest = |message: &Message| {
            newest.get(&(message.reporter.clone(), message.key.clone())).is_none_or(|number| *number == message.number)
        };
        let (wanted, replaced) = open.into_values().partition(is_newest);
        Self { wanted, replaced, last }
    }
}

fn hold(file: &File) -> Result<(), OutboxError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OutboxError::Held,
        TryLockError::Error(error) => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &str) -> Message {
        Message {
            number: 0,
            reporter: "pager".into(),
            key: key.into(),
            operation: "send".into(),
            method: "POST".into(),
            url: String::new(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: vec![Piece::Text("{\"key\":\"".into()), Piece::Secret("pager".into()), Piece::Text("\"}".into())],
            credential: None,
            accepted: Some("/ok".into()),
        }
    }

    #[test]
    fn what_has_not_arrived_is_found_again_once() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::create(&folder.path().join("outbox.jsonl"));
        assert!(
            Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().is_none(),
            "nothing is written before the first message"
        );
        assert_eq!(outbox.waiting(), 0);
        let numbers: Vec<u64> =
            ["a", "b", "a", "c"].iter().map(|key| outbox.put(message(key)).unwrap().number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        outbox.outcome(1, DeliveryState::Kept, 3, Some("no answer".into())).unwrap();
        outbox.outcome(2, DeliveryState::Arrived, 1, None).unwrap();
        assert!(matches!(Outbox::open(&folder.path().join("outbox.jsonl")), Err(OutboxError::Held)), "the run goes on");
        assert_eq!(outbox.waiting(), 2);
        drop(outbox);

        // The first `a` is replaced by the second; `b` has arrived.
        let (outbox, open) = Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().unwrap();
        assert_eq!(open.iter().map(|message| message.number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(open[1], Message { number: 4, ..message("c") });
        outbox.outcome(3, DeliveryState::Arrived, 1, None).unwrap();
        outbox.outcome(4, DeliveryState::Kept, 1, None).unwrap();
        drop(outbox);
        let (_, open) = Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().unwrap();
        assert_eq!(open.iter().map(|message| message.number).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_newer_one_that_arrived_takes_the_place_of_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::create(&folder.path().join("outbox.jsonl"));
        outbox.put(message("a")).unwrap();
        outbox.put(message("a")).unwrap();
        outbox.outcome(2, DeliveryState::Arrived, 1, None).unwrap();
        drop(outbox);
        let (_, open) = Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().unwrap();
        assert_eq!(open, [], "an alarm whose end was told is not raised again");
    }

    #[test]
    fn a_torn_line_spoils_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::create(&folder.path().join("outbox.jsonl"));
        outbox.put(message("a")).unwrap();
        drop(outbox);
        let path = folder.path().join("outbox.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"outcome\":{\"numb").unwrap();
        drop(file);
        let (outbox, open) = Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().unwrap();
        assert_eq!(open.len(), 1);
        outbox.outcome(1, DeliveryState::Arrived, 1, None).unwrap();
        drop(outbox);
        assert_eq!(Outbox::open(&folder.path().join("outbox.jsonl")).unwrap().unwrap().1, []);
    }
}
