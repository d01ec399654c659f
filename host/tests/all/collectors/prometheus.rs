//! `prometheus-collector` against a real Prometheus that asks exporters once a second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rows::{Row, read};
use crate::support::prometheus::{NodeExporter, Prometheus};
use crate::support::{Kperf, Target};

const ROWS: &str = "records/prometheus-collector/windows.parquet";

/// An exporter on loopback; `page` has what it shows so long after its start, or nothing while it can't be asked.
fn exporter(page: impl Fn(f64) -> Option<String> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let since = Instant::now();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let (status, body) = match page(since.elapsed().as_secs_f64()) {
                Some(body) => ("200 OK", body),
                None => ("503 Service Unavailable", String::new()),
            };
            let head = "content-type: text/plain; version=0.0.4\r\nconnection: close\r\n\r\n";
            // A server that hangs up early has lost interest.
            let _ = (&stream).write_all(format!("HTTP/1.1 {status}\r\n{head}{body}").as_bytes());
        }
    });
    address
}

/// Seconds, and how many of each ten something can be asked.
fn flaky(now: f64) -> Option<String> {
    // A gauge that moves, and a counter that begins anew every seven seconds.
    let text = format!(
        "kperf_test_gauge {}\nkperf_test_work_total{{pod=\"a\"}} {}\nkperf_test_work_total{{pod=\"b\"}} {}\n",
        50.0 + 40.0 * now.sin(),
        10.0 * (now % 7.0),
        3.0 * now
    );
    (now % 10.0 < 7.0).then_some(text)
}

/// Everything that the ready sets ask for, as cAdvisor, kube-state-metrics, Argo, KFP's controllers and MLflow name it.
fn cluster(now: f64) -> Option<String> {
    let pod = "namespace=\"ml\",pod=\"mlflow-0\"";
    let container = format!("{pod},container=\"mlflow\"");
    let lines = [
        format!("container_cpu_usage_seconds_total{{{container}}} {}", 0.5 * now),
        format!("container_memory_working_set_bytes{{{container}}} {}", 1e8 + 1e6 * now),
        format!("container_cpu_usage_seconds_total{{namespace=\"other\",pod=\"x\",container=\"x\"}} {}", 9.0 * now),
        format!("container_network_receive_bytes_total{{{pod}}} {}", 100.0 * now),
        format!("container_network_transmit_bytes_total{{{pod}}} {}", 200.0 * now),
        format!("container_fs_reads_bytes_total{{{container}}} {}", 300.0 * now),
        format!("container_fs_writes_bytes_total{{{container}}} {}", 400.0 * now),
        "kubelet_volume_stats_used_bytes{namespace=\"ml\",persistentvolumeclaim=\"data\"} 5e9".to_owned(),
        "kube_pod_status_phase{namespace=\"ml\",pod=\"mlflow-0\",phase=\"Running\"} 1".to_owned(),
        format!("kube_pod_container_status_restarts_total{{{container}}} 3"),
        format!(
            "grpc_server_handled_total{{grpc_service=\"a.v2beta1.RunService\",grpc_method=\"CreateRun\",grpc_code=\"OK\"}} {now}"
        ),
        format!(
            "grpc_server_handling_seconds_bucket{{grpc_service=\"a.v2beta1.RunService\",grpc_method=\"CreateRun\",le=\"0.1\"}} {now}"
        ),
        format!(
            "grpc_server_handling_seconds_bucket{{grpc_service=\"a.v2beta1.RunService\",grpc_method=\"CreateRun\",le=\"+Inf\"}} {now}"
        ),
        "argo_workflows_gauge{phase=\"Running\"} 4".to_owned(),
        "argo_workflows_queue_depth_gauge{queue_name=\"workflow_queue\"} 2".to_owned(),
        format!("argo_workflows_queue_latency_bucket{{queue_name=\"workflow_queue\",le=\"1\"}} {now}"),
        format!("argo_workflows_queue_latency_bucket{{queue_name=\"workflow_queue\",le=\"+Inf\"}} {now}"),
        "scheduled_workflow_queue_size 1".to_owned(),
        format!("mlflow_http_request_total{{method=\"GET\",status=\"200\"}} {}", 5.0 * now),
        format!("mlflow_http_request_duration_seconds_bucket{{method=\"GET\",status=\"200\",le=\"0.1\"}} {now}"),
        format!("mlflow_http_request_duration_seconds_bucket{{method=\"GET\",status=\"200\",le=\"+Inf\"}} {now}"),
    ];
    Some(lines.join("\n") + "\n")
}

fn suite(web: &str, prometheus: &str, seconds: u32, thresholds: &str, params: &str) -> String {
    format!(
        r#"
name = "observed"
thresholds = [{thresholds}]
[targets.web]
url = "{web}"
[targets.prometheus]
url = "{prometheus}"
[[scenario]]
name = "web"
plugin = "http-runner"
target = "web"
params = {{ requests = [{{ name = "front", path = "/" }}] }}
load = {{ executor = "constant-arrival-rate", rate = "20/s", duration = "{seconds}s", pre_allocated_vus = 4 }}
[[collector]]
name = "metrics"
plugin = "prometheus-collector"
target = "prometheus"
interval = "1s"
[collector.params]
step = "1s"
delay = "2s"
{params}
"#
    )
}

/// What the server itself says of an expression over the seconds of a window.
fn servers(server: &Prometheus, function: &str, expr: &str, row: &Row) -> f64 {
    let second = |column: &str, up: u64| (row.instant(column).unwrap() + up) / 1_000_000_000;
    let (first, last) = (second("start", 999_999_999), second("end", 0));
    // A little more than the distance, so that the first second is within, whether or not the left end belongs to it.
    let query = format!("{function}(({expr})[{}ms:1s])", (last - first) * 1000 + 1);
    let answer = server.api("query", &[("query", &query), ("time", &last.to_string())]);
    let value = &answer["data"]["result"][0]["value"][1];
    value.as_str().unwrap_or_else(|| panic!("{query}: {answer}")).parse().unwrap()
}

#[track_caller]
fn same(what: &str, a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{what}: {a} is not {b}");
}

fn kinds(summary: &Value) -> Vec<(&str, &str)> {
    let all = summary["incidents"].as_array().unwrap().iter();
    all.map(|it| (it["kind"].as_str().unwrap(), it["message"].as_str().unwrap())).collect()
}

fn metric<'a>(summary: &'a Value, name: &str) -> Vec<&'a Value> {
    summary["metrics"].as_array().unwrap().iter().filter(|it| it["name"] == name).collect()
}

/// Of a counter's points, how far it rose.
fn rise(points: &[Value]) -> f64 {
    let values: Vec<f64> = points.iter().map(|point| point[1].as_str().unwrap().parse().unwrap()).collect();
    values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] }).sum()
}

#[test]
#[ignore = "needs Prometheus and its node exporter; runs in .ci/run"]
fn figures_over_the_window_are_the_servers_own_answers() {
    let (node, web) = (NodeExporter::start(), Target::start());
    let (flaky, cluster) = (exporter(flaky).to_string(), exporter(cluster).to_string());
    let server = Prometheus::scraping(&[("flaky", &flaky), ("cluster", &cluster), ("node", &node.address())]);
    server.wait_for("rate(container_cpu_usage_seconds_total[5s])");
    server.wait_for("node_memory_MemAvailable_bytes");
    let own = [
        ("test_gauge", "kperf_test_gauge"),
        ("free_memory", "node_memory_MemAvailable_bytes"),
        ("cpu_of_all", "rate(container_cpu_usage_seconds_total[5s])"),
    ];
    let kperf = Kperf::with(&suite(
        &web.url(),
        &server.url(),
        14,
        r#""test_gauge avg < 1000", "test_gauge max < 91", "work count > 20", "component_cpu{component=mlflow} avg < 2""#,
        r#"
queries = ["kfp", "mlflow", "kubernetes-pods"]
namespace = "ml"
rate = "5s"
[collector.params.metrics]
test_gauge = { expr = "kperf_test_gauge" }
free_memory = { expr = "node_memory_MemAvailable_bytes", unit = "bytes" }
cpu_of_all = { expr = "rate(container_cpu_usage_seconds_total[5s])", aggregate = "sum" }
work = { expr = "kperf_test_work_total", kind = "counter", labels = ["pod"] }
all_work = { expr = "kperf_test_work_total", kind = "counter" }
peak = { expr = "max_over_time(kperf_test_gauge[$window])", type = "instant" }
inverse = { expr = "1 / (kperf_test_gauge * 0)" }
nothing = { expr = "no_such_series" }
"#,
    ));
    let ended = kperf.run();
    ended.code(0);
    let summary = kperf.summary();
    let rows = read(&kperf.out().join(ROWS));
    let row = |window: Option<&str>, metric: &str| {
        let fits = |row: &&Row| row.text("window").as_deref() == window && row.text("metric").unwrap() == metric;
        rows.iter().find(fits).unwrap_or_else(|| panic!("no row of {metric}"))
    };
    for window in [None, Some("web")] {
        for (name, expr) in own {
            let expr = if name == "cpu_of_all" { format!("sum({expr})") } else { expr.to_owned() };
            let row = row(window, name);
            for (function, column) in [("avg_over_time", "avg"), ("max_over_time", "max"), ("min_over_time", "min")] {
                same(name, row.number(column).unwrap(), servers(&server, function, &expr, row));
            }
            same(name, row.integer("points").unwrap() as f64, servers(&server, "count_over_time", &expr, row));
        }
    }
    // The samples are the same points: in the summary, in a threshold, second by second.
    let gauge = row(None, "test_gauge");
    let of_summary = metric(&summary, "test_gauge")[0];
    same("mean", of_summary["mean"].as_f64().unwrap(), gauge.number("avg").unwrap());
    same("max", of_summary["max"].as_f64().unwrap(), gauge.number("max").unwrap());
    assert_eq!(of_summary["count"].as_i64(), gauge.integer("points"));
    same("threshold", summary["thresholds"][0]["value"].as_f64().unwrap(), gauge.number("avg").unwrap());
    let (start, end) = (gauge.instant("start").unwrap(), gauge.instant("end").unwrap());
    let range = |expr: &str| {
        let seconds = |at: u64| (at as f64 / 1e9).to_string();
        let (start, end) = (seconds(start.div_ceil(1_000_000_000) * 1_000_000_000), seconds(end));
        let answer = server.api("query_range", &[("query", expr), ("start", &start), ("end", &end), ("step", "1")]);
        answer["data"]["result"].as_array().unwrap().clone()
    };
    // Counters: how far they rose, across their new beginnings.
    for series in range("kperf_test_work_total") {
        let pod = series["metric"]["pod"].as_str().unwrap();
        let of_pod = metric(&summary, "work").into_iter().find(|it| it["tags"]["pod"] == pod).unwrap();
        same(pod, of_pod["value"].as_f64().unwrap(), rise(series["values"].as_array().unwrap()));
    }
    let sum = |name: &str| metric(&summary, name).iter().map(|it| it["value"].as_f64().unwrap()).sum::<f64>();
    assert!((sum("all_work") - sum("work")).abs() < 1e-6, "labels that are not kept are added up");
    // An instant query over the whole window; its window begins where Prometheus has it.
    let peak = metric(&summary, "peak")[0]["value"].as_f64().unwrap();
    assert!(peak <= 90.0 && peak >= gauge.number("max").unwrap() - 1e-9, "{peak}");
    // Every query of the ready sets has points.
    let described = kperf.call(&["plugins", "prometheus-collector"]).stdout();
    assert!(described.contains("component_cpu"));
    let kinds = kinds(&summary);
    let of = |kind: &str| kinds.iter().find(|it| it.0 == kind).unwrap_or_else(|| panic!("no {kind}: {kinds:?}")).1;
    assert!(
        of("no-data").ends_with(": inverse; nothing") || of("no-data").ends_with(": nothing; inverse"),
        "{kinds:?}"
    );
    assert!(of("gap").contains("test_gauge: nothing at ") && !of("gap").contains("pods_cpu"), "{kinds:?}");
    assert!(of("reset").contains("work: "), "{kinds:?}");
    assert!(of("not-a-number").contains("inverse: "), "{kinds:?}");
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let cores = metric(&summary, "component_cpu");
    assert_eq!(cores.len(), 1, "only the namespace that was asked for");
    assert!((cores[0]["mean"].as_f64().unwrap() - 0.5).abs() < 0.1, "{cores:?}");
}

#[test]
#[ignore = "needs Prometheus; runs in .ci/run"]
fn a_threshold_sees_the_points_while_load_runs_and_a_server_that_goes_away_is_named() {
    let web = Target::start();
    let ramp = exporter(|now| Some(format!("kperf_test_ramp {now}\n"))).to_string();
    let server = Prometheus::scraping(&[("ramp", &ramp)]);
    server.wait_for("kperf_test_ramp");
    let now = |server: &Prometheus| {
        let answer = server.api("query", &[("query", "kperf_test_ramp")]);
        answer["data"]["result"][0]["value"][1].as_str().unwrap().parse::<f64>().unwrap()
    };
    let params = "metrics.ramp = { expr = \"kperf_test_ramp\" }";
    // Also the first compilation of the plugins has to fit in.
    let limit = format!("{{ expr = \"ramp max < {}\", abort = true }}", now(&server) + 6.0);
    let kperf = Kperf::with(&suite(&web.url(), &server.url(), 120, &limit, params));
    let since = Instant::now();
    kperf.run().code(3);
    assert!(since.elapsed() < Duration::from_secs(100), "it did not wait for the end of the load");
    let kperf = Kperf::with(&suite(&web.url(), &server.url(), 8, "\"ramp value > 0\"", params));
    let child = kperf.command(&["run", "suite.toml", "--out", "out"]).spawn().unwrap();
    let requests = web.requests();
    while web.requests() < requests + 80 {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);
    let ended = crate::support::Ended::from(child.wait_with_output().unwrap());
    ended.code(0);
    let summary = kperf.summary();
    let kinds = kinds(&summary);
    assert!(kinds.iter().any(|(kind, text)| *kind == "connect" && text.contains("ramp: ")), "{kinds:?}");
    assert!(kinds.iter().any(|(kind, text)| *kind == "gap" && text.contains("ramp: nothing at ")), "{kinds:?}");
    let ramp = metric(&summary, "ramp")[0];
    assert!(ramp["min"].as_f64().unwrap() > 0.0, "what is missing is no zero: {ramp}");
    // Without the server, and with a query that is none, nothing begins.
    let kperf = Kperf::with(&suite(&web.url(), "http://127.0.0.1:1", 1, "", params));
    kperf.run().code(6);
}

#[test]
#[ignore = "needs Prometheus; runs in .ci/run"]
fn a_mistake_in_a_query_ends_the_run_before_load() {
    let (web, server) = (Target::start(), Prometheus::scraping(&[]));
    let begin = |params: &str| Kperf::with(&suite(&web.url(), &server.url(), 1, "", params)).run();
    let ended = begin("metrics.broken = { expr = \"sum(up\" }");
    ended.code(6);
    assert!(
        ended.stderr().contains("broken: bad_data: ") && ended.stderr().contains("parse error"),
        "{}",
        ended.stderr()
    );
    server.wait_for("vector(1)");
    let ended = begin(
        "metrics.many = { expr = \"label_replace(vector(1), \\\"a\\\", \\\"1\\\", \\\"\\\", \\\"\\\") or vector(2)\" }",
    );
    ended.code(6);
    assert!(ended.stderr().contains("differ only in labels that are not kept (a)"), "{}", ended.stderr());
    assert_eq!(web.requests(), 2, "only the preflights");
}
