//! A matrix, cell by cell: in order, with commands around each, and going on where it was cut off.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::things::Things;
use crate::support::{Ended, Kperf, json};
use serde_json::Value;

/// Two axes of two values; each cell creates things on the server for a while, and leaves a line in a file before it.
const MATRIX: &str = r#"
name = "matrix"
[matrix]
tenants = [1, 10]
concurrency = [2, 5]
[cells]
before = ["sh", "-c", "echo $KPERF_CELL_NUMBER $KPERF_CELL_AXIS_TENANTS ${matrix.concurrency} >> before.txt; echo said"]
after = ["sh", "-c", "echo $KPERF_CELL_LABEL >> after.txt"]
[targets.server]
url = "${THINGS_URL}"
[[scenario]]
name = "make"
plugin = "creating-runner"
mode = "create"
target = "server"
params = { things = "${matrix.tenants}" }
thresholds = ["http_req_failed rate < 1%"]
[scenario.load]
executor = "constant-vus"
vus = "${matrix.concurrency}"
duration = "1s"
think_time = "20ms"
"#;

struct Stage {
    server: Things,
    kperf: Kperf,
}

impl Stage {
    fn new(suite: &str) -> Self {
        Self { server: Things::start(), kperf: Kperf::with(suite) }
    }

    fn call(&self, arguments: &[&str]) -> Ended {
        self.kperf.command(arguments).env("THINGS_URL", self.server.url()).output().unwrap().into()
    }

    /// Starts the matrix and waits until something is created in the cell with this number.
    fn begin(&self, cell: usize) -> Child {
        let child = self
            .kperf
            .command(&["run", "suite.toml", "--out", "out"])
            .env("THINGS_URL", self.server.url())
            .spawn()
            .unwrap();
        let begins = format!("{cell:02}-");
        let ledger = || {
            let entries = std::fs::read_dir(self.kperf.out().join("cells")).ok()?;
            let folder = entries.flatten().find(|it| it.file_name().to_string_lossy().starts_with(&begins))?;
            std::fs::read_to_string(folder.path().join("ledger.jsonl")).ok()
        };
        wait_until("things are created", || ledger().is_some_and(|text| text.lines().count() > 5));
        child
    }

    /// A file beside the suite, its lines.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.kperf.out().with_file_name(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The numbers of the cells that changed into a state, in order.
    fn changes(&self, state: &str) -> Vec<u64> {
        let text = std::fs::read_to_string(self.kperf.out().join("cells.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let changes = lines.filter_map(|line| line.get("cell").cloned());
        changes.filter(|change| change["state"] == state).map(|change| change["cell"].as_u64().unwrap()).collect()
    }

    fn cell(&self, name: &str) -> PathBuf {
        self.kperf.out().join("cells").join(name)
    }

    /// `cells.csv`, a map for each row.
    fn table(&self) -> Vec<std::collections::BTreeMap<String, String>> {
        csv::Reader::from_path(self.kperf.out().join("cells.csv")).unwrap().deserialize().map(Result::unwrap).collect()
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: &str) {
    assert!(std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn id_of(run: &Path) -> Value {
    json(&run.join("run.json"))["id"].clone()
}

const CELLS: [&str; 4] = [
    "01-tenants=1,concurrency=2",
    "02-tenants=1,concurrency=5",
    "03-tenants=10,concurrency=2",
    "04-tenants=10,concurrency=5",
];

#[test]
fn a_matrix_that_is_killed_in_its_third_cell_goes_on_there() {
    let stage = Stage::new(MATRIX);
    let mut child = stage.begin(3);
    let busy = stage.call(&["run", "suite.toml", "--resume", "out"]);
    busy.code(2);
    assert!(busy.stderr().contains("works on this matrix"), "{}", busy.stderr());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(stage.server.there() > 0, "the killed cell has left something");
    let ids = [id_of(&stage.cell(CELLS[0])), id_of(&stage.cell(CELLS[1]))];

    let resumed = stage.call(&["suite.toml", "--resume", "out"]);
    resumed.code(0);
    for part in ["cell 3/4", "cell 4/4", "left", "is run again"] {
        assert!(resumed.stderr().contains(part), "no {part}: {}", resumed.stderr());
    }
    assert_eq!(stage.changes("started"), [1, 2, 3, 3, 4]);
    assert_eq!(stage.changes("finished"), [1, 2, 3, 4], "none is run twice");
    assert_eq!(stage.lines("before.txt"), ["1 1 2", "2 1 5", "3 10 2", "3 10 2", "4 10 5"]);
    assert_eq!(stage.lines("after.txt").len(), 4, "the killed cell's was not run");
    assert_eq!(ids, [id_of(&stage.cell(CELLS[0])), id_of(&stage.cell(CELLS[1]))], "finished ones stay as they are");
    assert!(stage.cell(&format!("{}.attempt-1", CELLS[2])).join("journal.jsonl").is_file());
    assert_eq!(stage.server.there(), 0);

    let summary = stage.kperf.summary();
    assert_eq!((&summary["interrupted"], &summary["verdict"]["outcome"]), (&Value::from(false), &Value::from("pass")));
    let cells = summary["cells"]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    assert!(
        cells.iter().all(|cell| cell["state"] == "finished" && cell["took"].as_f64().unwrap() >= 1.0),
        "{cells:#?}"
    );
    assert_eq!(cells[2]["values"], serde_json::json!({"tenants": 10, "concurrency": 2}));
    let names: Vec<&str> =
        summary["scenarios"].as_array().unwrap().iter().map(|scenario| scenario["name"].as_str().unwrap()).collect();
    assert_eq!(names[3], "make [tenants=10,concurrency=5]");
    let table = stage.table();
    let of = |column: &str| table.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
    assert_eq!(of("cell"), ["1", "2", "3", "4"]);
    assert_eq!(
        (of("tenants"), of("concurrency")),
        (["1", "1", "10", "10"].map(str::to_owned).to_vec(), ["2", "5", "2", "5"].map(str::to_owned).to_vec())
    );
    assert_eq!(of("folder"), CELLS);
    for row in &table {
        assert_eq!(
            (row["scenario"].as_str(), row["operation"].as_str(), row["verdict"].as_str()),
            ("make", "create", "pass")
        );
        assert_eq!((&row["count"], row["failed"].as_str()), (&row["passed"], "0"));
        let [p50, p95, max] = ["p50_ms", "p95_ms", "max_ms"].map(|column| row[column].parse::<f64>().unwrap());
        assert!(0.0 < p50 && p50 <= p95 && p95 <= max, "{row:?}");
    }
    // Once more there is nothing to do, and the results can be made again.
    stage.call(&["suite.toml", "--resume", "out"]).code(0);
    assert_eq!(stage.changes("started").len(), 5);
    let again = stage.call(&["report", "out"]);
    again.code(0);
    assert!(again.stdout().contains("4 cells") && again.stdout().contains("create"), "{}", again.stdout());
}

#[test]
fn ctrl_c_leaves_the_rest_for_later_and_only_the_same_suite_goes_on() {
    let stage = Stage::new(MATRIX);
    let child = stage.begin(2);
    signal(&child, "-INT");
    let ended = Ended::from(child.wait_with_output().unwrap());
    ended.code(130);
    assert!(ended.stderr().contains("run suite.toml --resume out"), "{}", ended.stderr());
    assert_eq!((stage.changes("finished"), stage.changes("interrupted")), (vec![1], vec![2]));
    assert_eq!(stage.lines("after.txt"), ["tenants=1,concurrency=2", "tenants=1,concurrency=5"]);
    assert_eq!(stage.server.there(), 0);
    let summary = stage.kperf.summary();
    let states: Vec<&str> =
        summary["cells"]["cells"].as_array().unwrap().iter().map(|cell| cell["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["finished", "interrupted", "not-run", "not-run"]);
    assert_eq!((&summary["interrupted"], &summary["verdict"]["exit_code"]), (&Value::from(true), &Value::from(130)));

    let set = "scenario.make.load.duration=2s";
    let refused = stage.call(&["run", "suite.toml", "--resume", "out", "--set", set]);
    refused.code(2);
    assert!(
        refused.stderr().contains("--set was none and is") && refused.stderr().contains(set),
        "{}",
        refused.stderr()
    );
    let other = Things::start();
    let moved =
        stage.kperf.command(&["suite.toml", "--resume", "out"]).env("THINGS_URL", other.url()).output().unwrap();
    let moved = Ended::from(moved);
    moved.code(2);
    assert!(moved.stderr().contains("the target of make"), "{}", moved.stderr());
    let changed = Stage { kperf: stage.kperf.file("suite.toml", MATRIX.replace("[1, 10]", "[1, 20]")), ..stage };
    let refused = changed.call(&["run", "suite.toml", "--resume", "out"]);
    refused.code(2);
    assert!(refused.stderr().contains("the list of cells"), "{}", refused.stderr());
    let stage = Stage { kperf: changed.kperf.file("suite.toml", MATRIX), ..changed };
    stage.call(&["run", "suite.toml", "--resume", "out"]).code(0);
    assert_eq!(stage.changes("finished"), [1, 2, 3, 4]);
    let nothing = stage.call(&["run", "suite.toml", "--resume", "."]);
    nothing.code(2);
    assert!(nothing.stderr().contains("not the folder of a matrix"), "{}", nothing.stderr());
}

#[test]
fn a_command_that_fails_or_hangs_fails_its_cell_and_no_other() {
    let script = "case $KPERF_CELL_NUMBER in 1) echo why; exit 3;; 2) sleep 300 & echo $! > pid.txt; wait;; esac";
    let suite = MATRIX.replace("concurrency = [2, 5]", "concurrency = [2]\nkind = [\"a b\", \"c\"]");
    let suite = suite.replace(
        "echo $KPERF_CELL_NUMBER $KPERF_CELL_AXIS_TENANTS ${matrix.concurrency} >> before.txt; echo said",
        script,
    );
    let suite = suite.replace("[targets.server]", "hook_timeout = \"1s\"\n[targets.server]");
    let stage = Stage::new(&suite);
    let ended = stage.call(&["run", "suite.toml", "--out", "out"]);
    ended.code(6);
    assert_eq!((stage.changes("failed"), stage.changes("finished")), (vec![1, 2], vec![3, 4]));
    assert!(ended.stderr().contains("did not end within 1s"), "{}", ended.stderr());
    let log = stage.cell("01-tenants=1,concurrency=2,kind=a_b").join("before.log");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "why\n");
    let pid = stage.lines("pid.txt")[0].clone();
    wait_until("what the command started has ended", || {
        !std::process::Command::new("kill")
            .args(["-0", &pid])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    });
    let verdict = &stage.kperf.summary()["verdict"];
    let reason = &verdict["reasons"][0];
    assert_eq!((&verdict["outcome"], &reason["kind"]), (&Value::from("inconclusive"), &Value::from("cell-failed")));
    assert_eq!(reason["scenario"], "tenants=1,concurrency=2,kind=a b");
    let text = reason["text"].as_str().unwrap();
    assert!(text.contains("`before`") && text.contains("exit status: 3") && text.contains("before.log"), "{text}");
    // Cells that failed are tried again.
    stage.call(&["run", "suite.toml", "--resume", "out"]).code(6);
    assert_eq!((stage.changes("failed"), stage.changes("finished")), (vec![1, 2, 1, 2], vec![3, 4]));
}

#[test]
fn a_plan_shows_the_cells_and_runs_nothing() {
    let stage = Stage::new(&MATRIX.replace("[cells]", "[cells]\npause = \"10s\"\nrepeat = 2"));
    let plan = stage.call(&["plan", "suite.toml"]);
    plan.code(0);
    for part in ["8 cells", "tenants=10,concurrency=5,repeat=2", "1m18s", "pause     10s", "before    sh -c"] {
        assert!(plan.stdout().contains(part), "no {part}: {}", plan.stdout());
    }
    let valid = stage.call(&["validate", "suite.toml"]);
    valid.code(0);
    assert!(valid.stdout().contains("8 cells of 1 scenario"), "{}", valid.stdout());
    assert!(stage.lines("before.txt").is_empty());
    assert_eq!(stage.server.created(), 0);

    let wrong = Stage::new(&MATRIX.replace("concurrency = [2, 5]", "concurrency = [2, 0]"));
    let refused = wrong.call(&["validate", "suite.toml"]);
    refused.code(2);
    for part in ["vus = \"${matrix.concurrency}\"", "at least 1, found `0`", "in the cell tenants=1,concurrency=0"] {
        assert!(refused.stderr().contains(part), "no {part}: {}", refused.stderr());
    }
    let plain = Stage::new(&MATRIX.replace("[cells]", "[vars]").replace("before =", "A =").replace("after =", "B ="));
    assert!(plain.call(&["run", "suite.toml", "--resume", "out"]).0.status.code() == Some(2));
}

#[test]
fn a_breach_in_one_cell_is_the_whole_ones_and_what_was_kept_is_cleaned_up() {
    let suite = MATRIX.replace("rate < 1%\"]", "rate < 1%\", \"vus_max max < 4\"]");
    let suite = suite.replace("tenants = [1, 10]", "tenants = [1]").replace("[cells]", "[cells]\nrepeat = 2");
    let stage = Stage::new(&suite);
    let ended = stage.call(&["run", "suite.toml", "--out", "out", "--keep"]);
    ended.code(3);
    let summary = stage.kperf.summary();
    assert_eq!(
        (&summary["verdict"]["outcome"], &summary["verdict"]["exit_code"]),
        (&Value::from("fail"), &Value::from(3))
    );
    assert_eq!(summary["verdict"]["reasons"][0]["scenario"], "make [tenants=1,concurrency=5,repeat=1]");
    assert_eq!(summary["thresholds"].as_array().unwrap().len(), 8);
    assert_eq!(stage.table().iter().map(|row| row["repeat"].clone()).collect::<Vec<_>>(), ["1", "1", "2", "2"]);
    let there = stage.server.there();
    assert_eq!(there, stage.server.created());
    let cleanup = stage.call(&["cleanup", "out"]);
    cleanup.code(0);
    assert_eq!(stage.server.there(), 0);
    stage.call(&["report", "out"]).code(3);
}

#[test]
fn the_matrix_on_the_simulated_server_has_charts_and_tells_how_tenants_differ() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios/matrix.toml");
    let kperf = Kperf::with("");
    let set = "scenario.reads.load.duration=3s";
    let ended = kperf.call(&["run", suite.to_str().unwrap(), "--out", "out", "--set", set]);
    ended.code(0);
    let charts = kperf.out().join("artifacts/charts");
    let names = [
        "summary_dashboard",
        "response_times_by_tenants",
        "response_times_by_concurrency",
        "throughput_heatmap",
        "response_times_p95_heatmap",
        "passed_counts",
    ];
    for name in names {
        let png = std::fs::read(charts.join(format!("chart_{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{name}: {} bytes", png.len());
        let svg = std::fs::read_to_string(charts.join(format!("chart_{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("matrix: "), "{name}");
    }
    let page = std::fs::read_to_string(charts.join("charts.md")).unwrap();
    assert!(page.contains("chart_cpu_utilization: no collector gave"), "{page}");
    let cell = kperf.out().join("cells/04-tenants=10,concurrency=5");
    assert!(!cell.join("artifacts/charts/charts.md").exists(), "a single cell has no charts unless the suite says so");
    let summary = json(&cell.join("summary.json"));
    assert_eq!(summary["run"]["cell"]["values"], serde_json::json!({"tenants": 10, "concurrency": 5}));
    let scenario = &summary["scenarios"][0];
    let operations = scenario["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 6, "a row for each operation, not for each tenant");
    let spread = &scenario["spread"];
    let [min, median, max] = ["min", "median", "max"].map(|end| spread["p95"][end].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max, "{spread:#}");
    assert!(spread["values"].as_u64().unwrap() >= 5 && spread["slowest"].as_array().unwrap().len() == 5, "{spread:#}");
    let fairness = spread["fairness_latency"].as_f64().unwrap();
    assert!((0.1..=1.0).contains(&fairness), "{fairness}");
    let requests: u64 = operations.iter().map(|it| it["count"].as_u64().unwrap()).sum();
    let slowest = spread["slowest"][0]["value"].as_str().unwrap();
    assert!(slowest.starts_with("team-") && requests > 20, "{slowest} {requests}");
    let report = kperf.call(&["report", cell.to_str().unwrap()]);
    assert!(report.stdout().contains("slowest tenants") && report.stdout().contains(slowest), "{}", report.stdout());
}
