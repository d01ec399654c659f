//! What kperf itself costs: `cargo bench -p kperf-host`, or `-- cpu`, `-- precision`, `-- memory`, `-- start` for a part.
//!
//! Everything is measured from outside, on whole processes, in interleaved rounds of one session against a server in this
//! process, pinned to another core than the generators; the table's last column is the ratio to the bare hyper loop (or
//! to the server's own truth), because on a shared machine only ratios mean something. `oha` and `k6` join when they are
//! on the path. Figures are printed, never judged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a measurement for people: it prints, and what goes wrong ends it"
)]

mod generators;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use generators::{Generator, Measured};

const ROUNDS: usize = 5;
const KPERF: &str = env!("CARGO_BIN_EXE_kperf-host");

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A part of the benchmark: measures and prints.
type Part = fn() -> Outcome<()>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "hyper-loop") {
        return generators::hyper_loop(&arguments);
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let parts: [(&str, Part); 4] = [("cpu", cpu), ("precision", precision), ("memory", memory), ("start", start)];
    for (name, part) in parts {
        if wanted(name)
            && let Err(error) = part()
        {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// CPU time (user and system, whole process, one core) per request and requests per second, closed loop.
fn cpu() -> Outcome<()> {
    println!(
        "\nCPU per request: GET, 300-byte JSON answer, one core, closed loop, {ROUNDS} interleaved rounds, medians"
    );
    println!("{:<34} {:>6} {:>12} {:>12} {:>8}", "generator", "users", "us/request", "requests/s", "ratio");
    let server = server::start(Duration::ZERO)?;
    for users in [50, 2000] {
        let mut generators = vec![Generator::HyperLoop, Generator::Kperf];
        if users == 50 {
            generators.extend([Generator::Oha, Generator::K6].into_iter().filter(Generator::available));
        }
        let mut rounds: Vec<Vec<Measured>> = generators.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (generator, measured) in generators.iter().zip(&mut rounds) {
                measured.push(generator.closed_loop(&server.url(), users, Duration::from_secs(4))?);
            }
        }
        let bare = median(rounds[0].iter().map(|measured| measured.cpu_per_request()));
        for (generator, measured) in generators.iter().zip(&rounds) {
            let cost = median(measured.iter().map(Measured::cpu_per_request));
            let rate = median(measured.iter().map(Measured::rate));
            println!("{:<34} {users:>6} {:>12.2} {rate:>12.0} {:>8.2}", generator.name(), cost * 1e6, cost / bare);
        }
    }
    Ok(())
}

/// What an arrival rate of 1,000/s reports against what the server itself saw, when every answer takes 10 ms.
fn precision() -> Outcome<()> {
    println!(
        "\nArrival rate 1000/s, every answer takes 10 ms: reported minus the server's own truth, {ROUNDS} interleaved rounds, medians"
    );
    println!(
        "{:<42} {:>12} {:>14} {:>14}",
        "generator, from when it counts", "achieved/s", "p50 error us", "p99 error us"
    );
    let server = server::start(Duration::from_millis(10))?;
    let generators: Vec<_> = [Generator::Kperf, Generator::Oha].into_iter().filter(Generator::available).collect();
    // Rows of rate, p50, p99.
    let mut errors: Vec<(String, Vec<[f64; 3]>)> = Vec::new();
    for _ in 0..ROUNDS {
        for generator in &generators {
            server.forget();
            let reports = generator.open_loop(&server.url(), 1000, Duration::from_secs(10))?;
            let truth = server.truth();
            for seen in reports {
                let name = format!("{}, {}", generator.name(), seen.counted_from);
                let row = [truth.rate, seen.p50 - truth.p50, seen.p99 - truth.p99];
                match errors.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, rows)) => rows.push(row),
                    None => errors.push((name, vec![row])),
                }
            }
        }
    }
    for (name, rows) in &errors {
        let [rate, p50, p99] = [0, 1, 2].map(|column| median(rows.iter().map(|row| row[column])));
        println!("{name:<42} {rate:>12.2} {:>14.0} {:>14.0}", p50 * 1e6, p99 * 1e6);
    }
    Ok(())
}

/// The largest resident memory with so many users that are idle but for a request now and then.
fn memory() -> Outcome<()> {
    println!("\nMemory with idle users (one request each 30 s)");
    println!("{:<34} {:>9} {:>12} {:>14}", "generator", "users", "peak MiB", "KiB per user");
    let server = server::start(Duration::ZERO)?;
    let base = generators::kperf_idle(&server.url(), 1)?;
    for users in [1_000_u64, 10_000, 100_000] {
        let peak = generators::kperf_idle(&server.url(), users)?;
        let per_user = peak.saturating_sub(base) as f64 / users as f64 / 1024.0;
        println!("{:<34} {users:>9} {:>12.1} {per_user:>14.2}", "kperf http-runner", peak as f64 / 1_048_576.0);
    }
    Ok(())
}

/// From the start of the process to its end with one iteration, with an empty and with a filled compilation cache.
fn start() -> Outcome<()> {
    println!("\nOne iteration, whole process, medians of {ROUNDS}");
    let server = server::start(Duration::ZERO)?;
    let suite = generators::suite(
        &generators::target(&server.url()),
        "executor = \"per-vu-iterations\"\nvus = 1\niterations = 1",
    )?;
    let once = |cache: &Path| -> Outcome<f64> {
        let started = Instant::now();
        let out = tempfile::tempdir()?;
        let status = Command::new(KPERF)
            .args(["run", "--quiet", "--out"])
            .arg(out.path().join("run"))
            .arg(suite.path())
            .env("KPERF_CACHE_DIR", cache)
            .status()?;
        if !status.success() {
            return Err(format!("kperf-host ended with {status}").into());
        }
        Ok(started.elapsed().as_secs_f64())
    };
    let warm_cache = tempfile::tempdir()?;
    once(warm_cache.path())?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        cold.push(once(tempfile::tempdir()?.path())?);
        warm.push(once(warm_cache.path())?);
    }
    println!("{:<34} {:>9.0} ms", "cold: plugin compiled", median(cold.into_iter()) * 1e3);
    println!("{:<34} {:>9.0} ms", "warm: plugin from the cache", median(warm.into_iter()) * 1e3);
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
