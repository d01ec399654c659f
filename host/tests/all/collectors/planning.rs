//! What `validate` says of collectors: mistakes are found before anything runs, each at its place.

use crate::support::Kperf;

fn suite(thresholds: &str, params: &str, target: &str) -> String {
    format!(
        r#"
name = "planning"
thresholds = [{thresholds}]
[targets.web]
url = "http://127.0.0.1:1"
[targets.metrics]
{target}
[[scenario]]
name = "web"
plugin = "http-runner"
target = "web"
params = {{ requests = [{{ name = "front", path = "/" }}] }}
load = {{ executor = "constant-vus", vus = 1, duration = "1s" }}
[[collector]]
name = "prometheus"
plugin = "prometheus-collector"
target = "metrics"
[collector.params]
{params}
"#
    )
}

const URL: &str = "url = \"http://127.0.0.1:1\"";

#[track_caller]
fn refused(suite: &str, files: &[(&str, &str)], parts: &[&str]) {
    let kperf = files.iter().fold(Kperf::with(suite), |kperf, (name, content)| kperf.file(name, content));
    let ended = kperf.call(&["validate", "suite.toml"]);
    ended.code(2);
    for part in parts {
        assert!(ended.stderr().contains(part), "no {part:?}: {}", ended.stderr());
    }
}

#[test]
fn thresholds_know_the_metrics_that_parameters_declare() {
    let params = "queries = \"kfp\"\nmetrics.depth = { expr = \"queue_depth\", unit = \"bytes\" }";
    let known = suite("\"depth avg < 10MB\", \"component_cpu{component=mysql} max < 2\"", params, URL);
    Kperf::with(&known).call(&["validate", "suite.toml"]).code(0);
    refused(&suite("\"dept avg < 10MB\"", params, URL), &[], &["there is no metric `dept`", "did you mean `depth`?"]);
    refused(&suite("\"depth avg < 10ms\"", params, URL), &[], &["suite.toml:3:"]);
}

#[test]
fn a_metric_must_be_one_and_agree_with_others_of_its_name() {
    let refused_params = |params: &str, parts: &[&str]| refused(&suite("", params, URL), &[], parts);
    refused_params("metrics.Depth = { expr = \"x\" }", &["`Depth` is no metric name", "19 |"]);
    refused_params(
        "metrics.http_reqs = { expr = \"x\" }",
        &["`http_reqs` is already a counter in unit `none`, it can't be a gauge"],
    );
    refused_params(
        "metrics.a = { expr = \"x\", unit = \"seconds\" }\nmetrics.b = {}",
        &["\"expr\" is a required property"],
    );
    refused_params("metrics.a = { expr = \"x\", labels = [\"status\"] }", &["status"]);
    refused_params("queries = \"kpf\"", &["kpf", "kfp|mlflow|kubernetes-pods"]);
}

#[test]
fn targets_that_are_clusters_are_read_while_planning() {
    let config = "current-context: a\ncontexts:\n- {name: a, context: {cluster: c, user: u}}\n\
                  clusters:\n- {name: c, cluster: {server: \"http://127.0.0.1:1\"}}\n\
                  users:\n- {name: u, user: {token: abcd}}\n- {name: e, user: {exec: {command: aws}}}\n";
    let good = suite("", "queries = \"kfp\"", "kubeconfig = \"config\"");
    let ended = Kperf::with(&good).file("config", config).call(&["plan", "suite.toml"]);
    ended.code(0);
    assert!(ended.stdout().contains("reaches    http://127.0.0.1:1"), "{}", ended.stdout());
    let of = |target: &str| suite("", "queries = \"kfp\"", target);
    let files = [("config", config)];
    refused(
        &of("kubeconfig = \"config\"\ncontext = \"b\""),
        &files,
        &["no context `b`; it has `a`", "suite.toml:7:14"],
    );
    let exec = config.replace("user: u}", "user: e}");
    refused(&of("kubeconfig = \"config\""), &[("config", &exec)], &["the program `aws`, which is not run"]);
    refused(&of("kubeconfig = \"none\""), &[], &["can't read the kubeconfig"]);
    refused(&of("kubeconfig = \"in-cluster\""), &[], &["this does not run in a pod"]);
    refused(&of("kubeconfig = \"config\"\nurl = \"http://x\""), &files, &["either `url` or `kubeconfig`"]);
    refused(&of("kubeconfig = \"config\"\ninsecure = true"), &files, &["the kubeconfig says what `insecure` would"]);
    refused(&of("url = \"http://x\"\ncontext = \"a\""), &[], &["`context` belongs to `kubeconfig`"]);
    refused(&of("timeout = \"1s\""), &[], &["the target `metrics` has no `url`"]);
    let identity = "url = \"https://x\"\nclient_cert = \"cert.pem\"";
    refused(&of(identity), &[], &["`client_cert` needs `client_key` beside it"]);
    refused(
        &of(&format!("{identity}\nclient_key = \"key.pem\"")),
        &[("cert.pem", "")],
        &["there is no file `key.pem`"],
    );
}
