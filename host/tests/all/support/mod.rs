//! What the tests of the whole program share: a way to run it, and a target on loopback.

#[cfg(unix)]
pub mod mlflow;
pub mod prometheus;
pub mod things;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Tests that may run at the same time. Some use up the machine and would fail beside others, or make them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// All but those of the other groups.
    Usual,
    /// Searches for a capacity, which is the machine's where others use it, too.
    Capacity,
    /// Tests that share a real MLflow.
    Mlflow,
}

/// No group of tests takes that long.
const LONGEST_WAIT: Duration = Duration::from_secs(20 * 60);

/// Which group runs, and how many tests of it.
static RUNNING: (Mutex<Option<(Group, usize)>>, Condvar) = (Mutex::new(None), Condvar::new());

thread_local! {
    /// Each test has a thread of its own: the place of a test ends with it.
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.and_then(|(group, count)| (count > 1).then_some((group, count - 1)));
        RUNNING.1.notify_all();
    }
}

/// Waits until only tests of this group run, and keeps others waiting until the calling test ends. A test without a word is a usual
/// one.
pub fn enter(group: Group) {
    PLACE.with_borrow_mut(|place| {
        place.get_or_insert_with(|| {
            let running = RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner);
            let others = |running: &mut Option<(Group, usize)>| running.is_some_and(|(of, _)| of != group);
            let waited = RUNNING.1.wait_timeout_while(running, LONGEST_WAIT, others);
            let (mut running, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            assert!(
                !waited.timed_out(),
                "{group:?} waited for {running:?}, which does not end: a thread of one of its own tests?"
            );
            *running = Some((group, running.map_or(1, |(_, count)| count + 1)));
            Place
        });
    });
}

/// Does the work for each input at the same time, in threads that belong to the calling test: they run in its group.
pub fn side_by_side<T: Send>(group: Group, inputs: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    enter(group);
    std::thread::scope(|scope| {
        for input in inputs {
            let work = &work;
            scope.spawn(move || {
                enter(group);
                work(input);
            });
        }
    });
}

/// A run of the program in a folder of its own.
pub struct Kperf {
    folder: TempDir,
}

impl Kperf {
    /// A fresh folder with a suite in it.
    pub fn with(suite: &str) -> Self {
        enter(Group::Usual);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("suite.toml"), suite).unwrap();
        Self { folder }
    }

    /// Adds a file.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    /// The results' folder.
    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The program with these arguments, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kperf-host"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("KPERF_ENV")
            .env_remove("KPERF_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn call(&self, arguments: &[&str]) -> Ended {
        Ended(self.command(arguments).output().unwrap())
    }

    /// Runs the suite to its end.
    pub fn run(&self) -> Ended {
        self.call(&["run", "suite.toml", "--out", "out"])
    }

    /// The run's summary.
    pub fn summary(&self) -> serde_json::Value {
        json(&self.out().join("summary.json"))
    }
}

/// The JSON that a URL of a loopback server answers with.
pub fn get(url: &str) -> serde_json::Value {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{url}: {answer}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{url}: {error}: {answer}"))
}

/// A file of JSON.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// How a call of the program ended.
pub struct Ended(pub Output);

impl Ended {
    /// What it printed as its result.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// What else it printed.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Asserts the exit code, showing everything printed if it is another.
    #[track_caller]
    pub fn code(&self, wanted: i32) -> &Self {
        assert_eq!(self.0.status.code(), Some(wanted), "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self(output)
    }
}

/// An HTTP/1.1 server on loopback that gives every request the same answer after a delay.
pub struct Target {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
    heads: Mutex<Vec<String>>,
}

impl Target {
    /// Answers at once.
    pub fn start() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// Answers at once, but for the second that begins a second after its first request: what comes then waits for its end.
    pub fn stalling() -> Self {
        let first = std::sync::OnceLock::new();
        Self::answering(move || {
            let since = first.get_or_init(Instant::now).elapsed();
            let (begin, end) = (Duration::from_secs(1), Duration::from_secs(2));
            if since >= begin { end.saturating_sub(since) } else { Duration::ZERO }
        })
    }

    /// Answers after `delay`.
    pub fn slow(delay: Duration) -> Self {
        Self::answering(move || delay)
    }

    /// Has so many slots that each take `service` for a request, up to a tenth more or less as `seed` decides; further requests
    /// wait in line. Carries `slots / service` requests a second.
    pub fn slots(slots: usize, service: Duration, seed: u64) -> Self {
        let free = Mutex::new((vec![Instant::now(); slots], seed));
        Self::answering(move || {
            let now = Instant::now();
            let (free, state) = &mut *free.lock().unwrap();
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = (*state >> 33) as f64 / (1_u64 << 31) as f64;
            let slot = free.iter_mut().min().unwrap();
            *slot = now.max(*slot) + service.mul_f64(0.9 + 0.2 * roll);
            *slot - now
        })
    }

    fn answering(delay: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let delay = Arc::new(delay);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, delay) = (Arc::clone(&shared), Arc::clone(&delay));
                std::thread::spawn(move || {
                    // The peer closing its end is how a connection ends.
                    let _ = converse(stream, &*delay, &shared);
                });
            }
        });
        Self { address, seen }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// The heads of the requests so far, the first hundred of them.
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }
}

fn converse(mut stream: std::net::TcpStream, delay: &dyn Fn() -> Duration, seen: &Seen) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[before..].trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        seen.requests.fetch_add(1, Ordering::Relaxed);
        let mut heads = seen.heads.lock().unwrap();
        if heads.len() < 100 {
            heads.push(head);
        }
        drop(heads);
        std::thread::sleep(delay());
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"state\":\"ok\"}",
        )?;
    }
}
