use super::*;
use serde_json::{Map, Value, json};

/// `tasks`: name, command line, tasks before.
fn template(tasks: &[(&str, &str, &[&str])]) -> Arc<WorkflowTemplate> {
    let (mut dag, mut components, mut executors) = (Map::new(), Map::new(), Map::new());
    for (name, line, after) in tasks {
        dag.insert((*name).into(), json!({"componentRef": {"name": name}, "dependentTasks": after}));
        components.insert((*name).into(), json!({"executorLabel": name}));
        let container = json!({"image": "busybox", "command": ["sh", "-c"], "args": [line]});
        executors.insert((*name).into(), json!({ "container": container }));
    }
    let spec =
        json!({"root": {"dag": {"tasks": dag}}, "components": components, "deploymentSpec": {"executors": executors}});
    Arc::new(WorkflowTemplate::new(&spec, &Map::new()).unwrap())
}

/// Only the executors' own time counts.
fn bare(slots: usize) -> SimConfig {
    let zero = Duration::ZERO;
    let (pickup, schedule, image_pull, pod_start, driver) = (zero, zero, zero, zero, zero);
    let base = SimConfig { pickup, schedule, image_pull, pod_start, driver, ..SimConfig::default() };
    SimConfig { slots, report_lag: zero, jitter: 0.0, ..base }
}

/// The origin of a workflow that a client asked for.
fn api() -> WorkflowOrigin {
    WorkflowOrigin { is_known: true, ..WorkflowOrigin::default() }
}

fn drain(cluster: &mut Cluster) {
    while let Some(at) = cluster.next() {
        cluster.advance(at);
    }
}

fn makespan(slots: usize, tasks: &[(&str, &str, &[&str])]) -> f64 {
    let mut cluster = Cluster::new(bare(slots));
    let key = cluster.create(template(tasks), api());
    drain(&mut cluster);
    cluster.get(key).unwrap().finished.unwrap() as f64 / 1e9
}

#[test]
fn four_equal_pods_on_two_slots_take_twice_as_long() {
    let tasks: Vec<(&str, &str, &[&str])> = ["a", "b", "c", "d"].map(|n| (n, "sleep 10", [].as_slice())).into();
    assert_eq!(makespan(4, &tasks), 10.0);
    assert_eq!(makespan(2, &tasks), 20.0);
    assert_eq!(makespan(1, &tasks), 40.0);
}

#[test]
fn dependencies_run_one_after_the_other() {
    assert_eq!(makespan(9, &[("a", "sleep 2", &[]), ("b", "sleep 3", &["a"]), ("c", "sleep 4", &["a"])]), 6.0);
}

#[test]
fn three_nodes_and_three_per_task() {
    let mut cluster = Cluster::new(bare(4));
    let key = cluster.create(template(&[("a", "sleep 1", &[]), ("b", "sleep 1", &["a"])]), api());
    drain(&mut cluster);
    let workflow = cluster.get(key).unwrap();
    assert_eq!(workflow.state, RuntimeState::Succeeded);
    let names: Vec<&str> = workflow.reported().map(|(_, planned, _)| &*planned.name).collect();
    assert_eq!(names, ["", "root-driver", "root", "a-driver", "a", "executor", "b-driver", "b", "executor"]);
}

#[test]
fn a_failure_leaves_out_what_depends_on_it_and_retry_runs_only_the_rest() {
    let mut cluster = Cluster::new(bare(4));
    let key = cluster.create(template(&[("a", "sleep 1", &[]), ("b", "exit 1", &[]), ("c", "sleep 1", &["b"])]), api());
    drain(&mut cluster);
    let workflow = cluster.get(key).unwrap();
    assert_eq!(workflow.state, RuntimeState::Failed);
    let states = |w: &Workflow| -> Vec<(String, RuntimeState)> {
        w.reported().map(|(_, planned, known)| (planned.name.to_string(), known.state)).collect()
    };
    assert!(states(workflow).contains(&("a".into(), RuntimeState::Succeeded)));
    assert!(states(workflow).contains(&("b".into(), RuntimeState::Failed)));
    assert!(states(workflow).contains(&("c".into(), RuntimeState::Unspecified)));
    let ended = workflow.finished.unwrap();
    cluster.advance(ended + 60_000_000_000);
    cluster.retry(key).unwrap();
    assert_eq!(cluster.get(key).unwrap().finished, None);
    drain(&mut cluster);
    let workflow = cluster.get(key).unwrap();
    let end = |name: &str| workflow.reported().find(|(_, p, _)| &*p.name == name).unwrap().2.end.unwrap();
    assert!(end("a") <= ended && end("b") > ended);
    let history: Vec<RuntimeState> = workflow.history.iter().map(|c| c.state).collect();
    assert_eq!(history.last(), Some(&RuntimeState::Failed));
    assert_eq!(cluster.free, 4);
}

#[test]
fn reports_lag_behind_and_history_shows_when_they_came() {
    let mut cluster = Cluster::new(SimConfig { report_lag: Duration::from_secs(5), ..bare(4) });
    let key = cluster.create(template(&[("a", "sleep 20", &[])]), api());
    cluster.advance(1_000_000_000);
    assert_eq!(cluster.get(key).unwrap().state, RuntimeState::Pending);
    assert_eq!(cluster.get(key).unwrap().reported().count(), 0);
    drain(&mut cluster);
    let workflow = cluster.get(key).unwrap();
    let history: Vec<(u32, RuntimeState)> = workflow.history.iter().map(|c| (c.at, c.state)).collect();
    assert_eq!(history, [(0, RuntimeState::Pending), (5, RuntimeState::Running), (25, RuntimeState::Succeeded)]);
    assert_eq!(workflow.finished, Some(20_000_000_000));
}

#[test]
fn terminate_cancels_then_fails_and_frees_the_slots() {
    let mut cluster = Cluster::new(bare(1));
    let key = cluster.create(template(&[("a", "sleep 100", &[])]), api());
    cluster.advance(1_000_000_000);
    cluster.terminate(key).unwrap();
    assert_eq!(cluster.get(key).unwrap().state, RuntimeState::Canceling);
    assert_eq!(cluster.terminate(key), Err(TransitionError::Over));
    drain(&mut cluster);
    let workflow = cluster.get(key).unwrap();
    assert_eq!((workflow.state, workflow.finished), (RuntimeState::Failed, Some(1_000_000_000)));
    assert!(workflow.history.iter().all(|c| c.state != RuntimeState::Canceling));
    assert_eq!(cluster.free, 1);
}

#[test]
fn deleting_a_run_lets_the_next_pod_in() {
    let mut cluster = Cluster::new(bare(1));
    let first = cluster.create(template(&[("a", "sleep 1000", &[])]), api());
    let second = cluster.create(template(&[("a", "sleep 1", &[])]), api());
    cluster.advance(5_000_000_000);
    cluster.remove(first);
    drain(&mut cluster);
    assert_eq!(cluster.get(second).unwrap().finished, Some(6_000_000_000));
    assert_eq!(cluster.free, 1);
}

#[test]
fn an_image_is_pulled_once() {
    let mut cluster = Cluster::new(SimConfig { image_pull: Duration::from_secs(2), ..bare(9) });
    let key = cluster.create(template(&[("a", "sleep 1", &[]), ("b", "sleep 1", &["a"])]), api());
    drain(&mut cluster);
    // The driver's image, then the user's, then none.
    assert_eq!(cluster.get(key).unwrap().finished, Some(6_000_000_000));
    let again = cluster.create(template(&[("a", "sleep 1", &[])]), api());
    drain(&mut cluster);
    assert_eq!(cluster.get(again).unwrap().finished, Some(7_000_000_000));
}

#[test]
fn speed_divides_every_duration() {
    let mut cluster = Cluster::new(SimConfig { speed: 10.0, ..bare(9) });
    let key = cluster.create(template(&[("a", "sleep 5", &[])]), api());
    drain(&mut cluster);
    assert_eq!(cluster.get(key).unwrap().finished, Some(500_000_000));
}

#[test]
fn the_same_seed_and_arrivals_give_the_same_history_however_often_one_looks() {
    let run = |seed: u64, look_every: u64| -> Value {
        let config = SimConfig { seed, slots: 3, failure_rate: 0.3, ..SimConfig::default() };
        let mut cluster = Cluster::new(config);
        let keys: Vec<WorkflowKey> = (0..6)
            .map(|i| {
                cluster.advance(i * 500_000_000);
                cluster.create(template(&[("a", "sleep 1", &[]), ("b", "sleep 2", &["a"])]), api())
            })
            .collect();
        let mut at = 0;
        while cluster.next().is_some() {
            at += look_every;
            cluster.advance(at);
        }
        let finished: Vec<_> =
            keys.iter().map(|k| (cluster.get(*k).unwrap().finished, cluster.get(*k).unwrap().state)).collect();
        json!(finished)
    };
    assert_eq!(run(1, 100_000_000), run(1, 7_000_000_000));
    assert_ne!(run(1, 100_000_000), run(2, 100_000_000));
}

/// How many of 1,000 workflows with one task of a second ended so.
fn count(config: SimConfig, such: impl Fn(&Workflow) -> bool) -> u32 {
    let mut cluster = Cluster::new(config);
    let template = template(&[("a", "sleep 1", &[])]);
    let keys: Vec<WorkflowKey> = (0..1_000).map(|_| cluster.create(Arc::clone(&template), api())).collect();
    drain(&mut cluster);
    keys.iter().map(|key| u32::from(such(cluster.get(*key).unwrap()))).sum()
}

#[test]
fn what_happens_to_a_share_of_the_tasks_happens_at_that_share() {
    let usual = || bare(10_000);
    let executor = |w: &Workflow| w.nodes.iter().last().unwrap().into_owned();
    let counts = [
        count(SimConfig { failure_rate: 0.3, ..usual() }, |w| w.state == RuntimeState::Failed),
        count(SimConfig { slow_rate: 0.3, slow_factor: 7.0, ..usual() }, |w| w.finished == Some(7_000_000_000)),
        // All driver pods come first, so that the first executor finds its image pulled by none and the others by one another.
        count(SimConfig { cold_pulls: 0.3, slots: 1, ..usual() }, |w| executor(w).times.pulled),
    ];
    for count in counts {
        // Within three standard deviations, so that a share of 0.25 or 0.35 fails.
        assert!(count.abs_diff(300) < 44, "{counts:?} of 1,000");
    }
}
