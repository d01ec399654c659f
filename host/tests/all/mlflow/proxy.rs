//! A proxy in front of MLflow that mixes tenants up: into one tenant's list of experiments it puts one of another tenant's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::mlflow::exchange;

/// The proxy. It serves until the test ends.
pub struct Leaking {
    address: SocketAddr,
    leaked: Arc<Mutex<Vec<String>>>,
}

impl Leaking {
    /// In front of `server`, it shows `victim`'s latest experiment in the lists of `viewer`.
    pub fn start(server: &str, victim: &str, viewer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let leaked = Arc::<Mutex<Vec<String>>>::default();
        let names = [server.to_owned(), victim.to_owned(), viewer.to_owned()];
        let told = Arc::clone(&leaked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (names, told) = (names.clone(), Arc::clone(&told));
                std::thread::spawn(move || {
                    // The peer closing its end is how a connection ends.
                    let _ = converse(stream, &names, &told);
                });
            }
        });
        Self { address, leaked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `x-request-id` of every request whose answer was changed.
    pub fn leaked(&self) -> Vec<String> {
        self.leaked.lock().unwrap().clone()
    }
}

fn converse(mut stream: TcpStream, names: &[String; 3], leaked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let [server, victim, viewer] = names;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let (method, path) = (method.to_owned(), path.split(' ').next().unwrap_or_default().to_owned());
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "host" | "connection" | "accept-encoding" => {}
                name => headers.push((name.to_owned(), value.to_owned())),
            }
        }
        let mut body = String::new();
        reader.by_ref().take(length).read_to_string(&mut body)?;
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
        let sent: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (status, mut answer) =
            exchange(&format!("{server}{path}"), &method, &sent, &body).unwrap_or((502, String::new()));
        if path.ends_with("/experiments/search") && header("x-mlflow-workspace") == viewer {
            answer = mixed_up(server, victim, &answer);
            leaked.lock().unwrap().push(header("x-request-id").to_owned());
        }
        write!(stream, "HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

/// A list of experiments with one of another tenant's at its end.
fn mixed_up(server: &str, victim: &str, answer: &str) -> String {
    let headers = [("content-type", "application/json"), ("x-mlflow-workspace", victim)];
    let url = format!("{server}/api/2.0/mlflow/experiments/search");
    let (_, theirs) = exchange(&url, "POST", &headers, r#"{"max_results":1}"#).unwrap();
    let (mut list, theirs): (Value, Value) =
        (serde_json::from_str(answer).unwrap(), serde_json::from_str(&theirs).unwrap());
    let mut all = list["experiments"].as_array().cloned().unwrap_or_default();
    all.extend(theirs["experiments"].as_array().into_iter().flatten().cloned());
    list["experiments"] = json!(all);
    list.to_string()
}
