//! The generators that are compared, each run as a process of its own, pinned to one core.

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::{KPERF, Outcome, on_path};

/// Something that makes load.
#[derive(Clone, Copy)]
pub(crate) enum Generator {
    /// One hyper connection per user in a loop: reads the body and does nothing with it.
    HyperLoop,
    /// kperf's `http-runner`: WASM, JSON parsed, one check, tags, every metric.
    Kperf,
    /// oha: records the latency.
    Oha,
    /// k6: JSON parsed, one check.
    K6,
}

/// One closed-loop round.
pub(crate) struct Measured {
    requests: u64,
    cpu: Duration,
    elapsed: Duration,
}

impl Measured {
    /// Seconds of CPU per request.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() / self.requests as f64
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// What a generator reports of an open-loop round, in seconds.
pub(crate) struct Reported {
    /// From which instant it counts the time of a request.
    pub(crate) counted_from: &'static str,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Generator {
    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HyperLoop => "bare hyper loop",
            Self::Kperf => "kperf http-runner (WASM)",
            Self::Oha => "oha",
            Self::K6 => "k6",
        }
    }

    /// Whether its program is here.
    pub(crate) fn available(&self) -> bool {
        match self {
            Self::HyperLoop | Self::Kperf => true,
            Self::Oha => on_path("oha").is_some(),
            Self::K6 => on_path("k6").is_some(),
        }
    }

    /// A round in which `users` send one request after the other.
    pub(crate) fn closed_loop(self, url: &str, users: usize, duration: Duration) -> Outcome<Measured> {
        let seconds = duration.as_secs();
        match self {
            Self::HyperLoop => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["hyper-loop", url, &users.to_string(), &seconds.to_string()]);
                measure(command, |output| Ok(String::from_utf8_lossy(output).trim().parse()?))
            }
            Self::Kperf => {
                let load = format!("executor = \"constant-vus\"\nvus = {users}\nduration = \"{seconds}s\"");
                let suite = suite(&target(url), &load)?;
                let out = tempfile::tempdir()?;
                let folder = out.path().join("run");
                measure(kperf(suite.path(), &folder), |_| summary(&folder)?.count())
            }
            Self::Oha => {
                let mut command = Command::new("oha");
                command.args(["--no-tui", "--output-format", "json", "-c", &users.to_string(), "-z"]);
                command.args([&format!("{seconds}s"), "--", url]);
                measure(command, |output| {
                    let report: serde_json::Value = serde_json::from_slice(output)?;
                    let statuses = report["statusCodeDistribution"].as_object().ok_or("oha reports no statuses")?;
                    Ok(statuses.values().filter_map(serde_json::Value::as_u64).sum())
                })
            }
            Self::K6 => {
                let mut script = tempfile::Builder::new().suffix(".js").tempfile()?;
                write!(script, "{}", k6_script(url))?;
                let report = tempfile::NamedTempFile::new()?;
                let mut command = Command::new("k6");
                command.args(["run", "--quiet", "--no-usage-report", "--vus", &users.to_string(), "--duration"]);
                command.arg(format!("{seconds}s")).arg("--summary-export").args([report.path(), script.path()]);
                measure(command, |_| {
                    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report.path())?)?;
                    report["metrics"]["http_reqs"]["count"].as_u64().ok_or_else(|| "k6 reports no http_reqs".into())
                })
            }
        }
    }

    /// A round with so many arrivals a second, whatever the answers take; on whatever core the system picks, as a user
    /// would run it.
    pub(crate) fn open_loop(self, url: &str, rate: u32, duration: Duration) -> Outcome<Vec<Reported>> {
        let seconds = duration.as_secs();
        match self {
            Self::Kperf => {
                let suite = suite(
                    &target(url),
                    &format!(
                        "executor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\nduration = \"{seconds}s\"\n\
                         pre_allocated_vus = 100\nmax_vus = 2000"
                    ),
                )?;
                let out = tempfile::tempdir()?;
                let folder = out.path().join("run");
                run(kperf(suite.path(), &folder))?;
                summary(&folder)?.reported()
            }
            Self::Oha => {
                let mut command = Command::new("oha");
                command.args(["--no-tui", "--output-format", "json", "-c", "100", "-q", &rate.to_string(), "-z"]);
                command.args([&format!("{seconds}s"), "--latency-correction", "--", url]);
                let report: serde_json::Value = serde_json::from_slice(&run(command)?)?;
                let quantile = |name: &str| {
                    report["latencyPercentiles"][name].as_f64().ok_or_else(|| format!("oha reports no {name}"))
                };
                // Its clock starts when its ticker has woken, however late that was.
                Ok(vec![Reported { counted_from: "start", p50: quantile("p50")?, p99: quantile("p99")? }])
            }
            Self::HyperLoop | Self::K6 => Err("has no open loop here".into()),
        }
    }
}

/// Runs a generator on core 0 and takes its CPU time from the operating system.
fn measure(command: Command, requests: impl FnOnce(&[u8]) -> Outcome<u64>) -> Outcome<Measured> {
    let before = children_cpu()?;
    let started = Instant::now();
    let output = on_core_0(|| run(command))??;
    let elapsed = started.elapsed();
    let cpu = children_cpu()?.saturating_sub(before);
    Ok(Measured { requests: requests(&output)?, cpu, elapsed })
}

/// Runs a generator to its end and returns what it printed.
fn run(mut command: Command) -> std::io::Result<Vec<u8>> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
    // 5 is kperf's "inconclusive": a closed loop without pauses saturates its core, which is the point here.
    if !output.status.success() && output.status.code() != Some(5) {
        return Err(std::io::Error::other(format!("{command:?} ended with {}", output.status)));
    }
    Ok(output.stdout)
}

/// A process inherits the affinity of the thread that starts it.
fn on_core_0<T: Send>(start: impl FnOnce() -> T + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                pin_this_thread(0);
                start()
            })
            .join()
            .map_err(|_| "the thread that starts a generator panicked".into())
    })
}

/// Pins the calling thread, where there is such a core.
pub(crate) fn pin_this_thread(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

fn children_cpu() -> Outcome<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(microseconds.try_into()?))
}

fn kperf(suite: &std::path::Path, folder: &std::path::Path) -> Command {
    let mut command = Command::new(KPERF);
    command.args(["run", "--quiet", "--workers", "1", "--out"]).args([folder, suite]);
    command
}

/// The keys of a suite's target.
pub(crate) fn target(url: &str) -> String {
    format!("url = \"{url}\"")
}

/// A suite for `http-runner`: one GET, the JSON body parsed, one check.
pub(crate) fn suite(target: &str, load: &str) -> Outcome<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("bench").suffix(".toml").tempfile()?;
    write!(
        file,
        r#"name = "bench"
[targets.server]
{target}
[[scenario]]
name = "get"
plugin = "http-runner"
target = "server"
tags = {{ team = "bench" }}
[[scenario.params.requests]]
name = "get"
path = "/fast"
expect = {{ json = {{ "/state" = "ok" }} }}
[scenario.load]
{load}
"#
    )?;
    Ok(file)
}

/// The largest resident memory of kperf with so many users, each sending a request every 30 s, in bytes.
pub(crate) fn kperf_idle(url: &str, users: u64) -> Outcome<u64> {
    let load = format!("executor = \"constant-vus\"\nvus = {users}\nduration = \"10s\"\nthink_time = \"30s\"");
    // All start at once; the pool lets them wait for a hundred connections.
    let suite = suite(&format!("{}\nconnections = 100", target(url)), &load)?;
    let out = tempfile::tempdir()?;
    let mut child = kperf(suite.path(), &out.path().join("run")).stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = high.and_then(|text| text.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok());
            peak = kib.unwrap_or(0).max(peak);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(peak * 1024)
}

struct Summary(serde_json::Value);

fn summary(folder: &std::path::Path) -> Outcome<Summary> {
    Ok(Summary(serde_json::from_slice(&std::fs::read(folder.join("summary.json"))?)?))
}

impl Summary {
    fn operation(&self) -> &serde_json::Value {
        &self.0["scenarios"][0]["operations"][0]
    }

    fn count(&self) -> Outcome<u64> {
        let count = self.operation()["count"].as_u64().ok_or("the summary has no count")?;
        if self.operation()["failures"].as_u64() != Some(0) || count == 0 {
            return Err(format!("requests failed or none were sent: {}", self.operation()).into());
        }
        Ok(count)
    }

    /// The service time, from the real start, and the response time, from the instant at which the arrival was due.
    fn reported(&self) -> Outcome<Vec<Reported>> {
        [("start", "duration"), ("due instant", "response_time")]
            .into_iter()
            .map(|(counted_from, figure)| {
                let figures = &self.operation()[figure];
                let quantile =
                    |name: &str| figures[name].as_f64().ok_or_else(|| format!("the summary has no {figure}.{name}"));
                Ok(Reported { counted_from, p50: quantile("p50")?, p99: quantile("p99")? })
            })
            .collect()
    }
}

fn k6_script(url: &str) -> String {
    format!(
        "import http from 'k6/http';\nimport {{ check }} from 'k6';\n\
         export default function () {{\n  const answer = http.get('{url}/fast', {{ tags: {{ name: 'get' }} }});\n\
         \x20 check(answer, {{ state: (r) => r.json().state === 'ok' }});\n}}\n"
    )
}

/// The yardstick, in this program but in a process of its own: `hyper-loop URL USERS SECONDS` prints the number of
/// requests.
pub(crate) fn hyper_loop(arguments: &[String]) -> ExitCode {
    let parse = || {
        Some((
            arguments.get(1)?.strip_prefix("http://")?,
            arguments.get(2)?.parse().ok()?,
            arguments.get(3)?.parse().ok()?,
        ))
    };
    let Some((address, users, seconds)): Option<(&str, usize, u64)> = parse() else {
        eprintln!("usage: hyper-loop URL USERS SECONDS");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let requests = Arc::new(AtomicU64::new(0));
    let local = tokio::task::LocalSet::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    for _ in 0..users {
        let (address, requests) = (address.to_owned(), Arc::clone(&requests));
        local.spawn_local(async move {
            let stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
            tokio::task::spawn_local(connection);
            while Instant::now() < end {
                let request = hyper::Request::get("/fast").header("host", &address).body(Empty::<bytes::Bytes>::new());
                let response = sender.send_request(request.expect("a request")).await.expect("a response");
                let body = response.into_body().collect().await.expect("a body").to_bytes();
                std::hint::black_box(body);
                requests.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    runtime.block_on(local);
    println!("{}", requests.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}
