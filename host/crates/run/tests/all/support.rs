//! A target that answers at once, and a run against it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::LazyLock;

use kperf_plan::SuiteInput;
use kperf_plugin::{Engine, EngineConfig};
use kperf_results::Summary;
use kperf_run::{Interrupts, LocalServer, LocalServers, MakeSink, Results, RunOptions, run};

/// One engine, so that a plugin is compiled once.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&EngineConfig { cache: None }).unwrap());

/// Answers every request with an empty 200. Gives where it listens; it ends with the process.
pub fn target() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() && stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A suite of two users that do twenty iterations each, in two seconds.
pub fn suite(url: &str) -> String {
    format!(
        "name = 'sinks'\n[targets.t]\nurl = '{url}'\n[[scenario]]\nname = 'browse'\nplugin = 'http-runner'\ntarget = 't'\n\
         thresholds = ['http_req_failed rate < 1%']\n\
         load = {{ executor = 'per-vu-iterations', vus = 2, iterations = 20, think_time = '100ms' }}\n\
         [[scenario.params.requests]]\nname = 'get'\npath = '/'\n"
    )
}

struct NoServers;

impl LocalServers for NoServers {
    fn simulated(&self, _: &kperf_suite::Simulated) -> std::io::Result<Box<dyn LocalServer>> {
        Err(std::io::Error::other("no such server here"))
    }

    fn double(&self, _: kperf_suite::Double) -> std::io::Result<Box<dyn LocalServer>> {
        Err(std::io::Error::other("no such server here"))
    }
}

/// Runs a suite into a folder; gives its results and the exit code.
pub fn run_suite(text: &str, out: &Path, sinks: Vec<(String, MakeSink)>) -> (Summary, u8) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let input = SuiteInput {
            name: "suite.toml".into(),
            text: text.into(),
            folder: out.parent().unwrap().to_owned(),
            environment: None,
            sets: Vec::new(),
            lookup: |_| None,
            engine: ENGINE.clone(),
            cores: 1,
            workers: None,
            allow_native: false,
        };
        let plan = input.plan(&[]).await.unwrap();
        let (out, cell, metrics_listen) = (Some(out.to_owned()), None, None);
        let options = RunOptions { out, keep: false, metrics_listen, cell, sinks, servers: &NoServers };
        let end = run(&plan, options, &Interrupts::listen().unwrap()).await.unwrap();
        let Results::Written(summary) = end.results else { panic!("the results were not written") };
        ((*summary).clone(), end.exit as u8)
    })
}
