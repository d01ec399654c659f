//! A real MLflow on loopback, with workspaces, its data in a folder of the test's own; its Python environment is made once and
//! kept below cargo's target directory.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// What is installed, every version pinned.
const REQUIREMENTS: &str = include_str!("mlflow-requirements.txt");

/// How long a server may take until it is healthy: the first start after the installation compiles all of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a server is started.
#[derive(Clone, Default)]
pub struct Options {
    /// Database connections, and none in reserve; 64 if not given, so that the pool is never what limits.
    pub pool: Option<u32>,
    /// Everything lies below this path: `/mlflow`.
    pub prefix: &'static str,
    /// The administrator's password; with one, nobody gets in without.
    pub password: Option<&'static str>,
}

/// A server. Dropping it stops it.
pub struct Mlflow {
    options: Options,
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Mlflow {
    /// Starts one, and returns once it is healthy.
    pub fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { options, port, folder, process: None };
        server.run();
        server
    }

    /// The one that tests share that do not disturb each other: as long as one of them has it, the others get it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Mlflow>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(Options::default()));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Starts it, also again after `stop`, with the same data at the same place.
    pub fn run(&mut self) {
        let data = self.folder.path();
        let mut command = Command::new(python());
        command
            .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", "--enable-workspaces"])
            .args(["--port", &self.port.to_string()])
            .arg(format!("--backend-store-uri=sqlite:///{}", data.join("mlflow.db").display()))
            .arg("--serve-artifacts")
            .arg(format!("--artifacts-destination=file://{}", self.artifacts().display()))
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "true")
            // Eight more processes that nothing here needs.
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .env("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", self.options.pool.unwrap_or(64).to_string())
            .env("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", "0")
            .current_dir(data);
        if !self.options.prefix.is_empty() {
            command.args(["--static-prefix", self.options.prefix]);
        }
        if let Some(password) = self.options.password {
            command.args(["--app-name", "basic-auth"]);
            command.env("MLFLOW_AUTH_ADMIN_PASSWORD", password).env("MLFLOW_FLASK_SERVER_SECRET_KEY", "for tests only");
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // A group of its own, because the server's worker is another process.
        self.process = Some(command.process_group(0).spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while !self.is_healthy() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < deadline, "MLflow did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Stops it, as an operator does.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let group = Pid::from_child(&process);
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = process.wait();
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.options.prefix)
    }

    /// Where it keeps artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("mlflow.log")
    }

    fn is_healthy(&self) -> bool {
        matches!(exchange(&format!("{}/health", self.url()), "GET", &[], ""), Some((200, _)))
    }

    /// What it answers to a request of a tenant; none without a workspace.
    pub fn ask(&self, tenant: Option<&str>, method: &str, path: &str, body: &str) -> serde_json::Value {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(tenant.map(|name| ("x-mlflow-workspace", name.to_owned())));
        if let Some(password) = self.options.password {
            use base64::Engine as _;
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
            headers.push(("authorization", format!("Basic {pair}")));
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = format!("{}{path}", self.url());
        let (status, body) = exchange(&url, method, &headers, body).unwrap_or_else(|| panic!("{url} does not answer"));
        assert!(status < 300, "{method} {url}: {status} {body}");
        if body.is_empty() { serde_json::Value::Null } else { serde_json::from_str(&body).unwrap() }
    }

    /// The names of all workspaces but the default one.
    pub fn workspaces(&self) -> Vec<String> {
        let answer = self.ask(None, "GET", "/api/3.0/mlflow/workspaces", "");
        let names = answer["workspaces"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
        names.filter(|name| name != "default").collect()
    }

    /// The names of a tenant's active experiments.
    pub fn experiments(&self, tenant: &str) -> Vec<String> {
        let answer = self.ask(Some(tenant), "POST", "/api/2.0/mlflow/experiments/search", r#"{"max_results":1000}"#);
        let found = answer["experiments"].as_array().cloned().unwrap_or_default();
        found.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The status and the body of an answer; none if there is no answer.
pub fn exchange(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, String)> {
    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut request = format!("{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The Python that has MLflow: what `KPERF_MLFLOW_PYTHON` names, or one of an environment that is made now if it is not there.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| std::env::var_os("KPERF_MLFLOW_PYTHON").map_or_else(install, PathBuf::from)).clone()
}

fn install() -> PathBuf {
    let digest: String = Sha256::digest(REQUIREMENTS).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let target = Path::new(env!("CARGO_BIN_EXE_kperf-host")).parent().unwrap().parent().unwrap();
    let environment = target.join(format!("mlflow-{digest}"));
    let (python, ready) = (environment.join("bin/python"), environment.join("ready"));
    if ready.exists() {
        return python;
    }
    // Left over from an installation that was broken off.
    let _ = std::fs::remove_dir_all(&environment);
    let step = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    step(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    let requirements = environment.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).unwrap();
    step(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--requirement"])
            .arg(&requirements),
    );
    std::fs::write(ready, "").unwrap();
    python
}
