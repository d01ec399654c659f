//! Series that others fetch or are sent, against doubles on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::suite;
use crate::support::{Ended, Kperf, Target};

/// A request that the double received.
#[derive(Clone, Debug)]
struct Taken {
    head: String,
    body: Vec<u8>,
}

/// A server that answers the first requests with these statuses, and the others with 200.
struct Double {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Double {
    fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            let mut statuses = statuses.iter();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(request) = read(&mut reader) {
                    let status = statuses.next().copied().unwrap_or(200);
                    if status == 200 {
                        shared.lock().unwrap().push(request);
                    }
                    let answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 3\r\n\r\nno\n");
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, taken }
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Taken> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[before..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some(Taken { head: head.to_ascii_lowercase(), body });
        }
    }
}

/// What a server on loopback answers to a request for a path.
fn fetch(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Waits until `/metrics` of a run has something, and gives back the answer.
pub fn scraped(run: &mut Child, address: &str, has: &str) -> String {
    let since = Instant::now();
    loop {
        if let Some(answer) = fetch(address, "/metrics").filter(|answer| answer.contains(has)) {
            return answer;
        }
        assert!(run.try_wait().unwrap().is_none(), "the run has ended without {has}");
        assert!(since.elapsed() < Duration::from_secs(60), "waited in vain for {has}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An address of loopback that nothing listens on.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn series_can_be_fetched_while_the_run_goes_on() {
    let target = Target::start();
    let address = free_address();
    let kperf = Kperf::with(&suite(
        &target.url(),
        4,
        &format!("[export]\nlabels.team = \"ml\"\n[export.prometheus]\nlisten = \"{address}\""),
    ));
    let mut run = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let answer = scraped(&mut run, &address, "kperf_http_req_duration_seconds_bucket");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_ascii_lowercase().contains("text/plain; version=0.0.4"));
    let line = answer.lines().find(|line| line.starts_with("kperf_http_reqs_total{")).unwrap();
    for label in ["operation=\"get\"", "scenario=\"get\"", "suite=\"outside\"", "run=\"", "team=\"ml\""] {
        assert!(line.contains(label), "{line}");
    }
    assert!(fetch(&address, "/other").unwrap().starts_with("HTTP/1.1 404"));
    Ended::from(run.wait_with_output().unwrap()).code(0);
    assert!(fetch(&address, "/metrics").is_none(), "the server ends with the run");
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_sent() {
    let target = Target::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Kperf::with(&suite(&target.url(), 1, "")).call(&["run", "suite.toml", "--metrics-listen", &address]);
    ended.code(1);
    assert!(ended.stderr().contains(&format!("can't listen on {address}")), "{}", ended.stderr());
    assert_eq!(target.requests(), 0);
}

/// A suite that sends OTLP to a double, with a credential.
fn with_otel(target: &Target, otel: &Double) -> Kperf {
    let rest = format!(
        "[targets.otel]\nurl = \"http://{}/base\"\ncredential = \"otel\"\nheaders = {{ x-scope = \"team\" }}\n\
         [credentials.otel]\nfile = \"token\"\n[export.otlp]\ntarget = \"otel\"",
        otel.address
    );
    Kperf::with(&suite(&target.url(), 3, &rest)).file("token", "s3cret-token")
}

#[test]
fn a_server_that_is_busy_gets_each_second_later_with_the_suites_credential() {
    let (target, otel) = (Target::start(), Double::start(&[503, 429]));
    let kperf = with_otel(&target, &otel);
    kperf.run().code(0);
    assert!(kperf.summary()["incidents"].as_array().unwrap().is_empty(), "{:#}", kperf.summary()["incidents"]);
    let taken = otel.taken();
    assert!(taken.len() >= 3, "{}", taken.len());
    assert!(taken[0].head.starts_with("post /base/v1/metrics "), "{}", taken[0].head);
    for header in ["authorization: bearer s3cret-token", "x-scope: team", "content-type: application/x-protobuf"] {
        assert!(taken[0].head.contains(header), "{}", taken[0].head);
    }
    let name = b"kperf.iterations";
    assert!(taken.iter().any(|request| request.body.windows(name.len()).any(|window| window == name)));
}

/// Reads requests with OpenTelemetry's own messages and prints, as JSON, the last sum of each counter and the last number of
/// values of each histogram.
const READ: &str = r#"
import json, sys
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
last = {}
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        request = ExportMetricsServiceRequest.FromString(file.read())
    for resource in request.resource_metrics:
        assert any(a.key == "service.name" and a.value.string_value == "kperf" for a in resource.resource.attributes)
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                assert point.time_unix_nano > point.start_time_unix_nano - 10**9, point
                if kind == "histogram":
                    assert sum(point.bucket_counts) == point.count, point
                    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1, point
                    last[metric.name] = point.count
                elif kind == "sum":
                    assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == 2
                    last[metric.name] = point.as_double
print(json.dumps(last))
"#;

#[test]
#[ignore = "needs Python with opentelemetry-proto; runs in .ci/run"]
fn opentelemetrys_own_messages_read_what_is_sent() {
    let (target, otel) = (Target::start(), Double::start(&[]));
    let kperf = with_otel(&target, &otel);
    kperf.run().code(0);
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = otel
        .taken()
        .into_iter()
        .enumerate()
        .map(|(number, request)| {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, request.body).unwrap();
            path
        })
        .collect();
    let python = std::env::var("KPERF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let read = std::process::Command::new(python).arg("-c").arg(READ).args(files).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let last: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let count = kperf.summary()["scenarios"][0]["iterations"]["count"].as_f64().unwrap();
    assert_eq!(last["kperf.iterations"].as_f64(), Some(count), "{last:#}");
    assert_eq!(last["kperf.iteration_duration"].as_f64(), Some(count), "{last:#}");
}

#[test]
fn a_server_that_is_away_or_refuses_costs_the_run_nothing_but_a_word() {
    let (target, refusing) = (Target::start(), Double::start(&[400; 100]));
    let rest = format!(
        "[targets.away]\nurl = \"http://{}\"\n[export.otlp]\ntarget = \"away\"\n\
         [targets.refusing]\nurl = \"http://{}\"\n[export.remote_write]\ntarget = \"refusing\"",
        free_address(),
        refusing.address
    );
    let kperf = Kperf::with(&suite(&target.url(), 2, &rest));
    let began = Instant::now();
    kperf.run().code(0);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let incidents = kperf.summary()["incidents"].clone();
    let of = |kind: &str| {
        let all = incidents.as_array().unwrap();
        all.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {incidents:#}")).clone()
    };
    assert!(of("export-unsent")["message"].as_str().unwrap().starts_with("OTLP to http://"));
    let refused = of("export-refused");
    assert!(
        refused["message"].as_str().unwrap().contains("400") && refused["count"].as_u64().unwrap() >= 2,
        "{refused:#}"
    );
    assert_eq!(kperf.summary()["scenarios"][0]["iterations"]["count"], 40);
}
