//! Reporters: what arrives where and when, what becomes of what does not, and that none of it can hurt a run.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::{Kperf, Target};
use kperf_doubles::{DoubleServer, Reply, Service, ServiceRequest};
use serde_json::{Value, json};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A signature and the body that it is for.
type Signed = (String, Vec<u8>);

/// A server that takes everything, and remembers the signatures.
#[derive(Default, Clone)]
struct Sink {
    signed: Arc<Mutex<Vec<Signed>>>,
}

impl Service for Sink {
    const NAME: &'static str = "sink";

    fn answer(&mut self, request: &ServiceRequest<'_>) -> Reply {
        let signature = request.headers.get("x-kperf-signature").and_then(|value| value.to_str().ok());
        self.signed.lock().unwrap().push((signature.unwrap_or_default().to_owned(), request.body.to_vec()));
        Reply { status: 200, body: json!("ok"), taken: true }
    }

    fn throttled() -> Value {
        json!("later")
    }
}

/// A suite that makes a second of load and passes; `more` is what tells of it.
fn suite(web: &Target, more: &str) -> String {
    format!(
        r#"name = "told"
[targets.web]
url = "{}"
[[scenario]]
name = "reads"
plugin = "http-runner"
target = "web"
thresholds = ["http_req_failed rate < 1%"]
params = {{ requests = [{{ name = "get", path = "/" }}] }}
load = {{ executor = "constant-vus", duration = "2s", think_time = "100ms" }}
{more}"#,
        web.url()
    )
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_breach_in_the_middle_is_told_while_it_lasts() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios/observability.toml");
    let kperf = Kperf::with("");
    let page = kperf.out().with_file_name("page.md");
    let mut command = kperf.command(&["run", "--allow-native", suite.to_str().unwrap(), "--out", "out"]);
    command.env("GITHUB_STEP_SUMMARY", &page);
    crate::support::Ended(command.output().unwrap()).code(3);
    assert!(std::fs::read_to_string(page).unwrap().starts_with("# observability: fail"));

    let collected = kperf.summary()["metrics"].to_string();
    for metric in ["k8s_pod_scheduling", "k8s_image_pull", "k8s_pod_startup", "system_cpu", "system_memory_used"] {
        assert!(collected.contains(metric), "{metric} is not in {collected}");
    }

    let journal = lines(&kperf.out().join("journal.jsonl"));
    let end = journal.iter().find_map(|line| line["scenario"]["finished"]["unix_ns"].as_u64()).unwrap();
    let change = |state: &str| {
        let found = journal.iter().map(|line| &line["threshold"]);
        let mut found = found.filter(|it| it["threshold"] == "vus value < 25" && it["state"] == state);
        found.next().unwrap_or_else(|| panic!("not {state}"))["unix_ns"].as_u64().unwrap()
    };
    let (breached, recovered) = (change("breached"), change("recovered"));
    assert!(breached < recovered && recovered < end);

    let alerts = lines(&kperf.out().join("doubles/simulated-pagerduty.jsonl"));
    assert!(alerts.iter().all(|it| it["taken"] == true), "{alerts:#?}");
    let of = |action: &str, key: &str| {
        let mut found =
            alerts.iter().filter(|it| it["body"]["event_action"] == action && it["body"]["dedup_key"] == key);
        found.next().unwrap_or_else(|| panic!("no {action} of {key} in {alerts:#?}"))["unix_ns"].as_u64().unwrap()
    };
    let pile = "kperf/observability/runs/vus value < 25";
    let triggered = of("trigger", pile);
    assert!(breached + 2_000_000_000 <= triggered && triggered < recovered, "after the hold time, while load runs");
    assert!(recovered <= of("resolve", pile) && of("resolve", pile) < end);
    let slow = "kperf/observability/runs/http_req_duration{operation=create_run} p(95) < 1s";
    assert!(of("trigger", slow) < end);
    assert!(!alerts.iter().any(|it| it["body"]["event_action"] == "resolve" && it["body"]["dedup_key"] == slow));
    let key = alerts[0]["body"]["routing_key"].as_str().unwrap();
    assert!(!key.is_empty() && key.bytes().all(|byte| byte == b'*'), "the host wrote the key: {key}");

    let messages = lines(&kperf.out().join("doubles/simulated-slack.jsonl"));
    assert!(messages.iter().all(|it| it["taken"] == true), "{messages:#?}");
    let thread = &messages[0]["answer"]["ts"];
    assert!(messages[0]["body"].get("thread_ts").is_none());
    assert!(messages.len() >= 5 && messages[1..].iter().all(|it| it["body"]["thread_ts"] == *thread), "{messages:#?}");
    let texts: Vec<&str> = messages.iter().map(|it| it["body"]["text"].as_str().unwrap()).collect();
    for part in ["has started", "is breached", "holds again", "observability: fail"] {
        assert!(texts.iter().any(|text| text.contains(part)), "{part} is not in {texts:?}");
    }
}

#[test]
fn reporters_that_go_wrong_hide_nothing() {
    let web = Target::start();
    let (good, busy) = (
        DoubleServer::start(Sink::default(), LOOPBACK).unwrap(),
        DoubleServer::start(Sink::default(), LOOPBACK).unwrap(),
    );
    busy.throttle(5, Duration::from_secs(1));
    let down = DoubleServer::start(Sink::default(), LOOPBACK).unwrap();
    let address = down.url();
    drop(down);
    let faulty = |mode: &str| {
        format!(
            "[[reporter]]\nname = \"{mode}\"\nplugin = \"faulty-reporter\"\nmode = \"{mode}\"\ndeadline = \"12s\"\n"
        )
    };
    let told = |name: &str, url: &str, deadline: &str| {
        format!(
            "[targets.{name}]\nurl = \"{url}\"\n[[reporter]]\nname = \"{name}\"\nplugin = \"webhook-reporter\"\n\
             target = \"{name}\"\non = [\"pass\"]\ndeadline = \"{deadline}\"\n"
        )
    };
    let faults: String = ["trap", "trap-at-start", "hang", "spin"].into_iter().map(faulty).collect();
    let tellers = [told("down", &address, "12s"), told("busy", &busy.url(), "45s"), told("good", &good.url(), "12s")];
    let more = [faults, tellers.concat()].concat();
    let kperf = Kperf::with(&suite(&web, &more));
    let started = Instant::now();
    let ended = kperf.run();
    ended.code(0);
    // Two seconds of load and twelve for the slowest; the rest is for a machine that has other things to do.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    for (name, why) in [
        ("trap", "trap"),
        ("trap-at-start", "the run goes on without it"),
        ("hang", "had not ended when its time was up"),
        ("spin", "cpu-limit"),
        ("down", "tried"),
    ] {
        let line = ended.stderr().lines().find(|line| line.contains(&format!("reporter {name}: "))).map(str::to_owned);
        assert!(line.as_ref().is_some_and(|line| line.contains(why)), "{name}: {line:?} in {}", ended.stderr());
    }
    let taken = |server: &DoubleServer| server.received().iter().filter(|it| it.taken).count();
    assert_eq!((taken(&good), taken(&busy)), (1, 1));
    assert_eq!(busy.received().len(), 6, "five times busy, then taken");
    assert!(ended.stderr().contains("1 message of reporters not delivered"), "{}", ended.stderr());

    // What is missing is sent once, when the server is there.
    let back = DoubleServer::start(Sink::default(), address.strip_prefix("http://").unwrap().parse().unwrap()).unwrap();
    let resent = kperf.call(&["report", "out", "--resend"]);
    assert_eq!(resent.code(0).stdout().trim(), "sent 1 message");
    let again = kperf.call(&["report", "out", "--resend"]);
    assert_eq!(again.code(0).stdout().trim(), "every message has arrived");
    let arrived = back.received();
    assert_eq!((arrived.len(), arrived[0].body["event"].as_str()), (1, Some("end")));
    assert_eq!((taken(&good), taken(&busy)), (1, 1), "and nothing else");
}

#[test]
fn a_required_reporter_that_fails_changes_the_exit_code() {
    let web = Target::start();
    let more = "[[reporter]]\nname = \"r\"\nplugin = \"faulty-reporter\"\nmode = \"trap\"\nrequired = true\n";
    Kperf::with(&suite(&web, more)).run().code(7);
}

#[test]
fn a_result_knows_the_run_before() {
    let web = Target::start();
    let kperf = Kperf::with(&suite(&web, ""));
    for out in ["runs/1", "runs/2"] {
        kperf.call(&["run", "suite.toml", "--out", out]).code(0);
    }
    let runs = kperf.out().with_file_name("runs");
    let [first, second] = ["1", "2"].map(|run| crate::support::json(&runs.join(run).join("summary.json")));
    assert_eq!(first["previous"], Value::Null);
    assert_eq!((&second["previous"]["id"], &second["previous"]["outcome"]), (&first["run"]["id"], &json!("pass")));
    let threshold = json!({"scenario": "reads", "text": "http_req_failed rate < 1%", "value": 0.0});
    assert_eq!(second["previous"]["thresholds"], json!([threshold]));
    assert_eq!(second["previous"]["operations"][0]["operation"], "get");
}

#[test]
fn secrets_stay_in_the_host_and_files_in_their_places() {
    let web = Target::start();
    let sink = Sink::default();
    let (hook, pager) =
        (DoubleServer::start(sink.clone(), LOOPBACK).unwrap(), DoubleServer::start(Sink::default(), LOOPBACK).unwrap());
    let slack = DoubleServer::start(kperf_doubles::Slack::default(), LOOPBACK).unwrap();
    let more = format!(
        r#"[credentials]
key = {{ env = "KEY" }}
hook = {{ env = "HOOK", scheme = "HMAC-SHA256", header = "x-kperf-signature" }}
chat = {{ env = "CHAT" }}
[targets]
hook = {{ url = "{}/path", credential = "hook" }}
pager = {{ url = "{}" }}
chat = {{ url_from = "chat" }}
[[reporter]]
name = "hook"
plugin = "webhook-reporter"
target = "hook"
params = {{ body = {{ text = "{{{{suite}}}} is at {{{{event}}}}", code = "{{{{exit_code}}}}" }} }}
[[reporter]]
name = "pager"
plugin = "pagerduty-reporter"
target = "pager"
params = {{ routing_key = "key" }}
[[reporter]]
name = "chat"
plugin = "slack-reporter"
mode = "webhook"
target = "chat"
[[reporter]]
name = "thief"
plugin = "faulty-reporter"
mode = "steal"
target = "pager"
credentials = ["key"]
allow_hosts = ["127.0.0.1:1"]
[[reporter]]
name = "junit"
plugin = "junit-reporter"
[[reporter]]
name = "csv"
plugin = "csv-reporter"
"#,
        hook.url(),
        pager.url()
    );
    let kperf = Kperf::with(&suite(&web, &more));
    let secrets = ["0123456789abcdef0123456789abcdef", "signing-key-7f3a", "/services/T012345/B012345/s3cr3tp4th"];
    let mut command = kperf.command(&["run", "suite.toml", "--out", "out", "-v"]);
    command.env("KEY", secrets[0]).env("HOOK", secrets[1]).env("CHAT", format!("{}{}", slack.url(), secrets[2]));
    let ended = crate::support::Ended(command.output().unwrap());
    ended.code(0);
    let thief = ended.stderr().lines().find(|line| line.contains("reporter thief: ")).map(str::to_owned);
    assert!(thief.as_ref().is_some_and(|line| line.contains("may go to the target only")), "{}", ended.stderr());

    let events: Vec<Value> = hook.received().iter().map(|it| it.body.clone()).collect();
    assert_eq!(events[0], json!({"text": "told is at start", "code": null}));
    assert_eq!(*events.last().unwrap(), json!({"text": "told is at end", "code": 0}));
    assert!(hook.received().iter().all(|it| it.path == "/path"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secrets[1].as_bytes());
    for (signature, body) in sink.signed.lock().unwrap().iter() {
        let digest: String = ring::hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*signature, format!("sha256={digest}"));
    }
    let resolved = pager.received();
    assert_eq!(
        (&resolved[0].body["event_action"], &resolved[0].body["routing_key"]),
        (&json!("resolve"), &json!(secrets[0]))
    );
    assert!(slack.received().iter().all(|it| it.taken && it.path == secrets[2]) && slack.received().len() == 2);

    for entry in ["outbox.jsonl", "journal.jsonl", "summary.json", "suite.toml"] {
        let text = std::fs::read_to_string(kperf.out().join(entry)).unwrap();
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{entry} has a secret");
    }
    assert!(!secrets.iter().any(|secret| ended.stderr().contains(secret)), "{}", ended.stderr());
    let written = |name: &str| std::fs::read_to_string(kperf.out().join("artifacts").join(name)).unwrap();
    assert!(written("junit/junit.xml").contains("http_req_failed rate &lt; 1%"));
    assert!(written("csv/operations.csv").contains(",told,") && written("csv/operations.csv").contains(",reads,get,"));
}

#[test]
fn what_can_not_work_is_refused_at_its_place() {
    let web = Target::start();
    let more = r#"[credentials.hook]
env = "HOOK"
[targets.hook]
url_from = "hook"
[[reporter]]
name = "nowhere"
plugin = "slack-reporter"
mode = "webhook"
[[reporter]]
name = "literal"
plugin = "pagerduty-reporter"
target = "web"
params = { routing_key = "0123456789abcdef0123456789abcdef" }
[[reporter]]
name = "misspelt"
plugin = "webhook-reporter"
target = "hook"
params = { body = { text = ["{{suit}}"] } }
"#;
    let kperf = Kperf::with(&suite(&web, more));
    let mut command = kperf.command(&["validate", "suite.toml"]);
    command.env("HOOK", "hooks.example.com/x");
    let ended = crate::support::Ended(command.output().unwrap());
    ended.code(2);
    let said = ended.stderr();
    for part in [
        "`nowhere` has nothing to send to",
        "this is no name of a credential",
        "\"{{suit}}\" does not match",
        "the secret is to be a URL",
        "env = \"HOOK\"",
        "4 mistakes",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
