//! A real Prometheus on loopback (Debian's package `prometheus`), with its data in a folder of the test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server. Dropping it stops it.
pub struct Prometheus {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that asks each of `targets` (a job's name and its `host:port`) once a second, takes remote write, and
    /// knows native histograms; returns once it is ready.
    pub fn scraping(targets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jobs: String = targets
            .iter()
            .map(|(job, address)| {
                format!("  - job_name: {job}\n    static_configs:\n      - targets: [\"{address}\"]\n")
            })
            .collect();
        let jobs = if jobs.is_empty() { "  []\n".to_owned() } else { jobs };
        let config = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\nscrape_configs:\n{jobs}"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let process = Self::process(folder.path(), port);
        let server = Self { _process: process, port, _folder: folder };
        wait_until("Prometheus is ready", || server.answers("/-/ready"));
        server
    }

    fn process(folder: &Path, port: u16) -> Process {
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .arg("--enable-feature=native-histograms")
            .arg("--log.level=warn");
        Process::start(command)
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers to a request of its HTTP API: `api("query", &[("query", "up")])`.
    pub fn api(&self, endpoint: &str, parameters: &[(&str, &str)]) -> serde_json::Value {
        let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        super::get(&format!("{}/api/v1/{endpoint}?{query}", self.url()))
    }

    /// Waits until a query has at least one series, and fails the test when it takes too long.
    pub fn wait_for(&self, query: &str) {
        wait_until(query, || {
            let answer = self.api("query", &[("query", query)]);
            answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty())
        });
    }

    fn answers(&self, path: &str) -> bool {
        answers(self.port, path)
    }
}

/// Debian's `prometheus-node-exporter` on loopback. Dropping it stops it.
pub struct NodeExporter {
    _process: Process,
    port: u16,
}

impl NodeExporter {
    /// Starts one and returns once it answers.
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args([
            "--collector.disable-defaults",
            "--collector.meminfo",
            "--collector.loadavg",
            "--collector.stat",
        ]);
        let exporter = Self { _process: Process::start(command), port };
        wait_until("the node exporter answers", || answers(port, "/metrics"));
        exporter
    }

    /// Its `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A child process, ended with the test.
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn();
        Self(started.unwrap_or_else(|error| panic!("can't start {:?}: {error}", command.get_program())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of loopback that nothing listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a server answers a path with 200.
fn answers(port: u16, path: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut head = [0; 12];
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut head).is_ok() && head.ends_with(b" 200")
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A value of a URL's query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
