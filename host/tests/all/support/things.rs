//! A server on loopback on which things can be created and removed, and which looks into the run's ledger each time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `POST /things/NAME` creates, `DELETE /ids/ID` and `DELETE /names/NAME` remove.
pub struct Things {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Names by id.
    things: BTreeMap<String, String>,
    created: usize,
    removals: usize,
    /// Names that came before the ledger had them.
    unrecorded: Vec<String>,
    ledger: Option<PathBuf>,
    removal_takes: Duration,
}

impl Things {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // The peer closing its end is how a connection ends.
                    let _ = converse(stream, &shared);
                });
            }
        });
        Self { address, state }
    }

    /// Looks into this ledger when a thing is to be created.
    pub fn watch(&self, ledger: PathBuf) {
        self.state.lock().unwrap().ledger = Some(ledger);
    }

    /// Lets each removal take so long.
    pub fn slow_removal(&self, takes: Duration) {
        self.state.lock().unwrap().removal_takes = takes;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many things there are.
    pub fn there(&self) -> usize {
        self.state.lock().unwrap().things.len()
    }

    /// How many things were ever created.
    pub fn created(&self) -> usize {
        self.state.lock().unwrap().created
    }

    /// How many removals were asked for.
    pub fn removals(&self) -> usize {
        self.state.lock().unwrap().removals
    }

    /// The names of things whose request came before their entry was in the ledger.
    pub fn unrecorded(&self) -> Vec<String> {
        self.state.lock().unwrap().unrecorded.clone()
    }
}

impl State {
    fn answer(&mut self, method: &str, path: &str) -> (&'static str, String) {
        let (kind, name) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        match (method, kind) {
            ("POST", "things") => {
                if let Some(ledger) = &self.ledger {
                    let text = std::fs::read_to_string(ledger).unwrap_or_default();
                    if !text.contains(&format!("\"name\":\"{name}\"")) {
                        self.unrecorded.push(name.to_owned());
                    }
                }
                self.created += 1;
                let id = format!("id-{}", self.created);
                let answer = format!("{{\"id\":\"{id}\"}}");
                self.things.insert(id, name.to_owned());
                ("201 Created", answer)
            }
            ("DELETE", "ids") => {
                self.removals += 1;
                (if self.things.remove(name).is_some() { "204 No Content" } else { "404 Not Found" }, String::new())
            }
            ("DELETE", "names") => {
                self.removals += 1;
                let before = self.things.len();
                self.things.retain(|_, known| known != name);
                (if self.things.len() < before { "204 No Content" } else { "404 Not Found" }, String::new())
            }
            _ => ("400 Bad Request", String::new()),
        }
    }
}

fn converse(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
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
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, body) = state.lock().unwrap().answer(method, path);
        if method == "DELETE" {
            let takes = state.lock().unwrap().removal_takes;
            std::thread::sleep(takes);
        }
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    }
}
