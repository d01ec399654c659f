//! `ledger.jsonl`: what plugins have created on their targets, written down before the request leaves.
//!
//! In come the words of guests ([`ScenarioLedger`], one per scenario, shared by all workers); out come the [`LedgerEntry`]s that are still
//! open, read back from the file: a run that ends and a cleanup long after a crash learn them the same way.
//!
//! Each word is one line, handed to the operating system whole (`O_APPEND`, one small `write`) before the guest's call
//! returns. That is enough against `kill -9`, which is what happens to generators; it is not synced to the disk, so a machine
//! that loses power may lose the last words. A file lock tells that the run goes on; a killed process loses it.
//!
//! This module must not know guests, and knows nothing of what the kinds mean.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// Entries of one scenario that may be open at once: their numbers are held in memory.
const MOST_OPEN: usize = 1_000_000;

/// Something that a plugin has created and not removed yet, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number in the run's ledger.
    pub number: u64,
    /// The plugin's word for what it is.
    pub kind: String,
    /// Its name on the target.
    pub name: String,
    /// The target's id for it, if one came back.
    pub id: Option<String>,
}

/// Why a word could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds the ledger.
    #[error("the run still goes on: another process holds ledger.jsonl; stop it first (Ctrl-C cleans up)")]
    Held,
    /// Too many entries are open.
    #[error("{MOST_OPEN} things are open in the ledger of this scenario; remove some before creating more")]
    Full,
    /// The file can't be written or read.
    #[error("can't use ledger.jsonl: {0}; check the run's folder and the space on its disk")]
    File(#[from] io::Error),
}

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word<'a> {
    Creating {
        entry: u64,
        #[serde(borrow)]
        scenario: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        kind: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        name: std::borrow::Cow<'a, str>,
    },
    Created {
        entry: u64,
        #[serde(borrow)]
        id: std::borrow::Cow<'a, str>,
    },
    Removed {
        entry: u64,
    },
}

/// A run's ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    paper: Arc<Paper>,
    books: Arc<Mutex<BTreeMap<Arc<str>, Arc<ScenarioLedger>>>>,
}

/// What all scenarios write on.
#[derive(Debug)]
struct Paper {
    path: PathBuf,
    pen: Mutex<Pen>,
    next: AtomicU64,
}

/// The file, and whether it ends in the middle of a line.
#[derive(Debug)]
struct Pen {
    file: File,
    torn: bool,
}

impl Ledger {
    /// Begins the ledger of a new run, in its folder, and holds it until the last clone is gone.
    ///
    /// # Errors
    /// When there is a ledger already, or the folder can't be written.
    pub fn create(path: &Path) -> Result<Self, LedgerError> {
        let file = private(OpenOptions::new().append(true).create_new(true)).open(path)?;
        hold(&file)?;
        Ok(Self::new(path.to_owned(), Pen { file, torn: false }, 1))
    }

    /// Goes on with the ledger of a run that is over.
    ///
    /// # Errors
    /// When the run still goes on, or there is no ledger that can be read and written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut file = OpenOptions::new().append(true).read(true).open(path)?;
        hold(&file)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let mut open: BTreeMap<Arc<str>, FxHashSet<u64>> = BTreeMap::new();
        let mut of: BTreeMap<u64, Arc<str>> = BTreeMap::new();
        let mut highest = 0;
        walk(path, |word| match word {
            Word::Creating { entry, scenario, .. } => {
                highest = highest.max(entry);
                let known = open.get_key_value(&*scenario).map(|(name, _)| Arc::clone(name));
                let name = known.unwrap_or_else(|| scenario.into());
                open.entry(Arc::clone(&name)).or_default().insert(entry);
                of.insert(entry, name);
            }
            Word::Created { .. } => {}
            Word::Removed { entry } => {
                if let Some(numbers) = of.remove(&entry).and_then(|name| open.get_mut(&name)) {
                    numbers.remove(&entry);
                }
            }
        })?;
        let ledger = Self::new(path.to_owned(), Pen { file, torn: last != [b'\n'] }, highest + 1);
        for (scenario, numbers) in open {
            ledger.scenario(&scenario).state.lock().open = numbers;
        }
        Ok(ledger)
    }

    fn new(path: PathBuf, pen: Pen, next: u64) -> Self {
        let (pen, next) = (Mutex::new(pen), AtomicU64::new(next));
        Self { paper: Arc::new(Paper { path, pen, next }), books: Arc::default() }
    }

    /// A scenario's part of the ledger.
    #[must_use]
    pub fn scenario(&self, scenario: &str) -> Arc<ScenarioLedger> {
        let mut books = self.books.lock();
        if let Some(book) = books.get(scenario) {
            return Arc::clone(book);
        }
        let scenario: Arc<str> = scenario.into();
        let state = Mutex::new(State { open: FxHashSet::default(), removed: 0, at: Instant::now() });
        let book = Arc::new(ScenarioLedger { paper: Arc::clone(&self.paper), scenario: Arc::clone(&scenario), state });
        books.insert(scenario, Arc::clone(&book));
        book
    }

    /// The scenarios of which something is open, by name.
    #[must_use]
    pub fn scenarios(&self) -> Vec<String> {
        let books = self.books.lock();
        books.values().filter(|book| book.open() > 0).map(|book| book.scenario.to_string()).collect()
    }

    /// How many entries are open.
    #[must_use]
    pub fn open_entries(&self) -> usize {
        self.books.lock().values().map(|book| book.open()).sum()
    }
}

impl Paper {
    fn write(&self, word: &Word<'_>) -> Result<(), LedgerError> {
        let mut line = serde_json::to_vec(word).map_err(io::Error::from)?;
        line.push(b'\n');
        let mut pen = self.pen.lock();
        if pen.torn {
            line.insert(0, b'\n');
        }
        let written = pen.file.write_all(&line);
        // A full disk may have taken half of it; what comes later must not be glued to that.
        pen.torn = written.is_err();
        Ok(written?)
    }
}

/// What one scenario has created. A guest can speak of no entries but its own scenario's.
#[derive(Debug)]
pub struct ScenarioLedger {
    paper: Arc<Paper>,
    scenario: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: FxHashSet<u64>,
    removed: u64,
    /// When something was removed last; at first, when the book was begun.
    at: Instant,
}

impl ScenarioLedger {
    /// How many entries are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// How many entries have been removed, by this process.
    #[must_use]
    pub fn removed_so_far(&self) -> u64 {
        self.state.lock().removed
    }

    /// When something was removed last, by this process.
    pub(crate) fn last_removed(&self) -> Instant {
        self.state.lock().at
    }

    /// Whether this entry is open.
    #[must_use]
    pub fn is_open(&self, entry: u64) -> bool {
        self.state.lock().open.contains(&entry)
    }

    /// Notes that something is about to be created.
    ///
    /// # Errors
    /// When it could not be written down: it must not be created then.
    pub fn creating(&self, kind: &str, name: &str) -> Result<u64, LedgerError> {
        if self.open() >= MOST_OPEN {
            return Err(LedgerError::Full);
        }
        let entry = self.paper.next.fetch_add(1, Ordering::Relaxed);
        let scenario = (&*self.scenario).into();
        self.paper.write(&Word::Creating { entry, scenario, kind: kind.into(), name: name.into() })?;
        self.state.lock().open.insert(entry);
        Ok(entry)
    }

    /// Notes the target's id for an entry; an unknown one is ignored.
    ///
    /// # Errors
    /// When it could not be written down.
    pub fn created(&self, entry: u64, id: &str) -> Result<(), LedgerError> {
        if self.is_open(entry) { self.paper.write(&Word::Created { entry, id: id.into() }) } else { Ok(()) }
    }

    /// Notes that an entry's thing is gone; an unknown one is ignored.
    ///
    /// # Errors
    /// When it could not be written down: this process knows it all the same.
    pub fn removed(&self, entry: u64) -> Result<(), LedgerError> {
        {
            let mut state = self.state.lock();
            if !state.open.remove(&entry) {
                return Ok(());
            }
            state.removed += 1;
            state.at = Instant::now();
        }
        self.paper.write(&Word::Removed { entry })
    }

    /// What is open, the latest first, read from the file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn entries(&self) -> Result<Vec<LedgerEntry>, LedgerError> {
        let mut entries: BTreeMap<u64, LedgerEntry> = BTreeMap::new();
        let open = self.state.lock().open.clone();
        walk(&self.paper.path, |word| match word {
            Word::Creating { entry, kind, name, .. } if open.contains(&entry) => {
                let (kind, name) = (kind.into_owned(), name.into_owned());
                entries.insert(entry, LedgerEntry { number: entry, kind, name, id: None });
            }
            Word::Created { entry, id } => {
                if let Some(entry) = entries.get_mut(&entry) {
                    entry.id = Some(id.into_owned());
                }
            }
            Word::Creating { .. } | Word::Removed { .. } => {}
        })?;
        Ok(entries.into_values().rev().collect())
    }
}

/// Nobody else may read what is made: names are kept as they are, whatever is part of them.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes this process the one that writes the file.
fn hold(file: &File) -> Result<(), LedgerError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Held),
        // A file system without locks is no reason not to run; only the question whether a run goes on stays open there.
        Err(TryLockError::Error(error)) => {
            tracing::warn!("can't lock ledger.jsonl, so that cleanup can't tell whether this run goes on: {error}");
            Ok(())
        }
    }
}

/// Reads a ledger word by word. A line that can't be read is one that was not written whole: its request never left.
fn walk(path: &Path, mut each: impl FnMut(Word<'_>)) -> Result<(), LedgerError> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        if let Ok(word) = serde_json::from_slice(&line) {
            each(word);
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(book: &ScenarioLedger) -> Vec<(String, Option<String>)> {
        book.entries().unwrap().into_iter().map(|entry| (entry.name, entry.id)).collect()
    }

    #[test]
    fn what_is_open_is_known_to_whoever_opens_the_ledger_next() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap();
        let book = ledger.scenario("s");
        let [a, b, c] = ["a", "b", "c"].map(|name| book.creating("run", name).unwrap());
        book.created(a, "id-\"a\"").unwrap();
        book.removed(b).unwrap();
        book.removed(b).unwrap();
        assert_eq!((book.open(), book.removed_so_far()), (2, 1));
        let expected = [("c".to_owned(), None), ("a".to_owned(), Some("id-\"a\"".to_owned()))];
        assert_eq!(names(&book), expected);
        assert!(matches!(Ledger::open(&dir.path().join("ledger.jsonl")), Err(LedgerError::Held)), "the run goes on");
        drop((ledger, book));

        let ledger = Ledger::open(&dir.path().join("ledger.jsonl")).unwrap();
        assert_eq!((ledger.scenarios(), ledger.open_entries()), (vec!["s".to_owned()], 2));
        let book = ledger.scenario("s");
        assert_eq!(names(&book), expected);
        assert!(book.creating("run", "d").unwrap() > c, "numbers are never used twice");
        assert!(
            matches!(Ledger::create(&dir.path().join("ledger.jsonl")), Err(LedgerError::File(_))),
            "a ledger is never overwritten"
        );
    }

    #[test]
    fn a_scenario_can_speak_of_its_own_entries_only() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap();
        let (mine, yours) = (ledger.scenario("mine"), ledger.scenario("yours"));
        let entry = yours.creating("run", "x").unwrap();
        for number in [entry, 0, u64::MAX] {
            mine.created(number, "stolen").unwrap();
            mine.removed(number).unwrap();
        }
        assert_eq!((mine.open(), mine.removed_so_far()), (0, 0));
        assert_eq!(names(&yours), [("x".to_owned(), None)]);
        assert_eq!(std::fs::read_to_string(dir.path().join("ledger.jsonl")).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_torn_line_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger.jsonl")).unwrap();
        ledger.scenario("s").creating("run", "a").unwrap();
        drop(ledger);
        let path = dir.path().join("ledger.jsonl");
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"creating\":{\"entry\":2,\"scen");
        std::fs::write(&path, text).unwrap();
        let ledger = Ledger::open(&dir.path().join("ledger.jsonl")).unwrap();
        ledger.scenario("s").creating("run", "b").unwrap();
        drop(ledger);
        let ledger = Ledger::open(&dir.path().join("ledger.jsonl")).unwrap();
        assert_eq!(names(&ledger.scenario("s")), [("b".to_owned(), None), ("a".to_owned(), None)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_can_not_be_written_down_is_an_error_and_not_open() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let ledger = Ledger::new("/dev/full".into(), Pen { file, torn: false }, 1);
        let book = ledger.scenario("s");
        let error = book.creating("run", "a").unwrap_err().to_string();
        assert!(error.contains("space on its disk"), "{error}");
        assert_eq!(book.open(), 0);
    }
}
