//! What a run creates on its target is written down before, and gone afterwards, whatever happens in between.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::things::Things;
use crate::support::{Ended, Kperf};

const TEN: &str = "executor = \"shared-iterations\"\nvus = 2\niterations = 10";
const LONG: &str = "executor = \"constant-vus\"\nvus = 2\nduration = \"5m\"\nthink_time = \"20ms\"";

/// A suite with one scenario of the test plugin; the target comes from a variable, as it does in CI.
fn suite(params: &str, load: &str) -> String {
    format!(
        r#"
name = "test"
[targets.server]
url = "${{THINGS_URL}}"
[[scenario]]
name = "make"
plugin = "creating-runner"
mode = "create"
target = "server"
[scenario.params]
{params}
[scenario.load]
{load}
"#
    )
}

/// A server and a folder with a suite for it.
struct Stage {
    server: Things,
    kperf: Kperf,
}

impl Stage {
    fn new(params: &str, load: &str) -> Self {
        let (server, kperf) = (Things::start(), Kperf::with(&suite(params, load)));
        server.watch(kperf.out().join("ledger.jsonl"));
        Self { server, kperf }
    }

    fn call(&self, arguments: &[&str]) -> Ended {
        self.call_with(&self.server.url(), arguments)
    }

    fn call_with(&self, url: &str, arguments: &[&str]) -> Ended {
        self.kperf.command(arguments).env("THINGS_URL", url).output().unwrap().into()
    }

    fn run(&self) -> Ended {
        self.call(&["run", "suite.toml", "--out", "out"])
    }

    /// Starts a run and waits until it has created some things.
    fn begin(&self) -> Child {
        let mut command = self.kperf.command(&["run", "suite.toml", "--out", "out"]);
        let child = command.env("THINGS_URL", self.server.url()).spawn().unwrap();
        wait_until("things are created", || self.server.created() > 20);
        child
    }

    /// Lines of the ledger that hold this word.
    fn words(&self, word: &str) -> usize {
        let ledger = std::fs::read_to_string(self.kperf.out().join("ledger.jsonl")).unwrap();
        ledger.lines().filter(|line| line.starts_with(&format!("{{\"{word}\":"))).count()
    }

    #[track_caller]
    fn incident(&self, kind: &str) -> serde_json::Value {
        let summary = self.kperf.summary();
        let incidents = summary["incidents"].as_array().unwrap();
        let found = incidents.iter().find(|incident| incident["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}: {incidents:#?}")).clone()
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn interrupt(child: &Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn ended(child: Child) -> Ended {
    Ended::from(child.wait_with_output().unwrap())
}

#[test]
fn every_entry_is_written_before_its_request_and_everything_is_removed() {
    let stage = Stage::new("things = 3", TEN);
    let ended = stage.run();
    ended.code(0);
    assert_eq!(stage.server.unrecorded(), Vec::<String>::new());
    assert_eq!((stage.server.created(), stage.server.there()), (30, 0));
    assert_eq!((stage.words("creating"), stage.words("created"), stage.words("removed")), (30, 30, 30));
    assert!(ended.stderr().contains("make: removed 30 things"), "{}", ended.stderr());
    let again = stage.call(&["cleanup", "out"]);
    again.code(0);
    assert!(again.stdout().contains("nothing is left"), "{}", again.stdout());
    assert_eq!(stage.server.removals(), 30, "what is gone is not removed again");
}

#[test]
fn what_iterations_remove_themselves_is_not_removed_again() {
    let stage = Stage::new("remove = true", TEN);
    stage.run().code(0);
    assert_eq!((stage.server.there(), stage.server.removals()), (0, 10));
}

#[test]
fn nothing_is_left_after_a_breach_that_ends_the_run() {
    let load =
        format!("{LONG}\n[[scenario.thresholds]]\nexpr = \"iterations count < 5\"\nabort = true\nafter = \"1s\"");
    let stage = Stage::new("", &load);
    stage.run().code(3);
    assert!(stage.server.created() >= 5);
    assert_eq!(stage.server.there(), 0);
}

#[test]
fn nothing_is_left_after_traps() {
    let stage = Stage::new("trap_every = 2", TEN);
    stage.run();
    assert_eq!(stage.incident("trap")["source"], "make");
    assert!(stage.words("created") < stage.words("creating"), "those that trapped have a name only");
    assert_eq!((stage.server.created(), stage.server.there()), (10, 0));
}

#[test]
fn nothing_is_left_after_a_setup_that_failed_half_way() {
    let stage = Stage::new("fail_setup = true", TEN);
    stage.run().code(6);
    assert_eq!((stage.server.created(), stage.server.there()), (1, 0));
}

#[test]
fn nothing_is_left_after_an_interrupt() {
    let stage = Stage::new("", LONG);
    let child = stage.begin();
    interrupt(&child);
    ended(child).code(130);
    assert_eq!(stage.server.there(), 0);
}

#[test]
fn a_second_interrupt_leaves_at_once_and_says_how_to_clean_up() {
    let stage = Stage::new("", LONG);
    stage.server.slow_removal(Duration::from_secs(20));
    let child = stage.begin();
    interrupt(&child);
    wait_until("the removal has begun", || stage.server.removals() > 0);
    interrupt(&child);
    let ended = ended(child);
    ended.code(130);
    assert!(ended.stderr().contains("kperf-host cleanup out"), "{}", ended.stderr());
    stage.server.slow_removal(Duration::ZERO);
    stage.call(&["cleanup", "out"]).code(0);
    assert_eq!(stage.server.there(), 0);
}

#[test]
fn cleanup_after_a_kill_leaves_the_server_as_it_was_and_twice_does_no_harm() {
    let stage = Stage::new("things = 2", LONG);
    let mut child = stage.begin();
    let meanwhile = stage.call(&["cleanup", "out"]);
    meanwhile.code(2);
    assert!(meanwhile.stderr().contains("still goes on"), "{}", meanwhile.stderr());
    child.kill().unwrap();
    child.wait().unwrap();
    let there = stage.server.there();
    assert!(there > 20);
    assert_eq!(stage.server.unrecorded(), Vec::<String>::new());
    let first = stage.call(&["cleanup", "out"]);
    first.code(0);
    assert!(first.stdout().contains("make: removed"), "{}", first.stdout());
    assert_eq!(stage.server.there(), 0);
    let removals = stage.server.removals();
    let second = stage.call(&["cleanup", "out"]);
    second.code(0);
    assert!(second.stdout().contains("nothing is left"), "{}", second.stdout());
    assert_eq!(stage.server.removals(), removals);
}

#[test]
fn keep_keeps_it_all_until_cleanup() {
    let stage = Stage::new("", TEN);
    let ended = stage.call(&["run", "suite.toml", "--out", "out", "--keep"]);
    ended.code(0);
    assert_eq!(stage.server.there(), 10);
    assert!(ended.stderr().contains("10 things") && ended.stderr().contains("cleanup out"), "{}", ended.stderr());
    stage.call(&["cleanup", "out"]).code(0);
    assert_eq!(stage.server.there(), 0);
}

#[test]
fn what_can_not_be_removed_is_told_and_stays_in_the_ledger() {
    let stage = Stage::new("cleanup = \"fails\"", TEN);
    let ended = stage.run();
    ended.code(0);
    let incident = stage.incident("left-behind");
    assert_eq!((incident["source"].as_str(), incident["count"].as_u64()), (Some("make"), Some(10)));
    let message = incident["message"].as_str().unwrap();
    for part in ["10 things", "as the parameters want it", "kperf-host cleanup out"] {
        assert!(message.contains(part), "no {part}: {message}");
    }
    let cleanup = stage.call(&["cleanup", "out"]);
    cleanup.code(6);
    assert!(cleanup.stderr().contains("10 things"), "{}", cleanup.stderr());
    assert_eq!(stage.server.there(), 10);
}

#[test]
fn a_cleanup_that_traps_after_each_removal_still_comes_to_its_end() {
    let stage = Stage::new("cleanup = \"traps\"", TEN);
    stage.run().code(0);
    assert_eq!((stage.server.there(), stage.server.removals()), (0, 10));
}

#[test]
fn more_than_one_call_holds_is_removed_in_several() {
    let stage = Stage::new("things = 250", TEN);
    stage.run().code(0);
    assert_eq!((stage.server.created(), stage.server.there()), (2500, 0));
}

#[test]
fn cleanup_refuses_another_target_and_another_plugin() {
    let stage = Stage::new("", TEN);
    let mut wasm = kperf_guests::get("creating-runner").unwrap().to_vec();
    let text = suite("", TEN).replace("\"creating-runner\"", "\"./mine.wasm\"");
    let stage = Stage { kperf: Kperf::with(&text).file("mine.wasm", &wasm), ..stage };
    let run = stage.call(&["run", "suite.toml", "--out", "out", "--keep"]);
    run.code(0);

    let other = Things::start();
    let refused = stage.call_with(&other.url(), &["cleanup", "out"]);
    refused.code(2);
    for part in [&other.url(), &stage.server.url(), "--force"] {
        assert!(refused.stderr().contains(part), "no {part}: {}", refused.stderr());
    }
    // A custom section changes the digest and nothing else.
    wasm.extend_from_slice(&[0, 2, 1, b'x']);
    let changed = Stage { kperf: stage.kperf.file("mine.wasm", &wasm), ..stage };
    let refused = changed.call(&["cleanup", "out"]);
    refused.code(2);
    assert!(refused.stderr().contains("sha256:") && refused.stderr().contains("--force"), "{}", refused.stderr());
    assert_eq!((changed.server.there(), changed.server.removals(), other.removals()), (10, 0, 0));
    changed.call(&["cleanup", "out", "--force"]).code(0);
    assert_eq!(changed.server.there(), 0);
}

#[test]
fn cleanup_uses_the_suite_as_it_was() {
    let stage = Stage::new("", TEN);
    let set = "scenario.make.params.things=2";
    stage.call(&["run", "suite.toml", "--out", "out", "--keep", "--set", set]).code(0);
    let stage = Stage { kperf: stage.kperf.file("suite.toml", "this is no suite any more"), ..stage };
    assert_eq!(stage.server.there(), 20);
    stage.call(&["cleanup", "out"]).code(0);
    assert_eq!(stage.server.there(), 0);
}

#[test]
fn what_was_on_the_simulated_server_is_gone_with_it() {
    let text = suite("cleanup = \"fails\"", TEN).replace("target = \"server\"", "target = \"simulated\"");
    let stage = Stage { server: Things::start(), kperf: Kperf::with(&text) };
    stage.run();
    assert!(stage.words("creating") > 0);
    // No variable, no server: nothing is needed for it.
    for _ in 0..2 {
        let cleanup = stage.kperf.call(&["cleanup", "out"]);
        cleanup.code(0);
        assert!(cleanup.stdout().contains("nothing is left"), "{}", cleanup.stdout());
    }
}

#[test]
fn hostile_words_do_no_harm() {
    let stage = Stage::new("", TEN);
    let text = suite("", TEN).replace("mode = \"create\"", "mode = \"hostile\"");
    let stage = Stage { kperf: stage.kperf.file("suite.toml", text), ..stage };
    stage.run();
    assert_eq!(stage.kperf.summary()["scenarios"][0]["iterations"]["count"], 10);
    assert_eq!(stage.incident("invalid-record")["count"], 30);
    let ledger = std::fs::read_to_string(stage.kperf.out().join("ledger.jsonl")).unwrap();
    assert!(ledger.lines().all(|line| line.len() < 700), "texts are cut");
    assert_eq!(stage.words("creating"), stage.words("removed"));
}

#[test]
fn a_folder_that_is_no_runs_is_refused() {
    let stage = Stage::new("", TEN);
    let refused = stage.call(&["cleanup", "."]);
    refused.code(2);
    assert!(refused.stderr().contains("not the folder of a run"), "{}", refused.stderr());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_creation_and_not_the_removal() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let stage = Stage::new("", LONG);
    // Writing beyond the limit is an error then, and not a signal.
    let script = format!("trap '' XFSZ; exec {} run suite.toml --out out", env!("CARGO_BIN_EXE_kperf-host"));
    let folder = stage.kperf.out().parent().unwrap().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder).env("THINGS_URL", stage.server.url());
    let child = shell.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("things are created", || stage.server.created() > 20);
    let size = stage.kperf.out().join("ledger.jsonl").metadata().unwrap().len();
    let limit = Rlimit { current: Some(size + 500), maximum: Some(size + 500) };
    prlimit(Some(Pid::from_child(&child)), Resource::Fsize, limit).unwrap();
    let ended = ended(child);
    ended.code(1);
    assert_eq!(stage.server.unrecorded(), Vec::<String>::new(), "nothing is created that is not written down");
    assert_eq!(stage.server.there(), 0, "{}", ended.stderr());
    // What could not be written down any more is asked for once again.
    stage.call(&["cleanup", "out"]).code(0);
    stage.call(&["cleanup", "out"]).code(0);
}
