//! Tracks each pod: in come objects and events in any order, some of them twice; out go samples, each once, and a row per pod
//! when its life is over.
//!
//! Pods and events come by different watches. What needs both waits one poll after the pod's part is known, so that the events
//! of the same instant are there. The tracker sends no request and knows no clock: it counts polls.

use std::collections::{BTreeMap, BTreeSet};

use kperf_plugin_sdk::{duration, instant::Instant, metrics::Sample, records::Value};

use crate::object::{Event, Pod};

/// For how many polls events are kept whose pod has not been observed.
const ORPHAN_POLLS: u64 = 3;

/// Counters of failures.
const FAILURE_COUNTERS: [&str; 4] =
    ["k8s_pod_restarts", "k8s_oom_kills", "k8s_scheduling_failures", "k8s_mount_failures"];

/// Samples and rows that are new.
#[derive(Debug, Default)]
pub struct Output {
    pub samples: Vec<Sample>,
    /// Rows of the table `pods`.
    pub rows: Vec<Vec<Value>>,
}

/// The pods of all namespaces, by their uid.
#[derive(Debug, Default)]
pub struct PodTracker {
    pods: BTreeMap<String, TrackedPod>,
    /// Pods whose row has been written.
    done: BTreeSet<String>,
    /// Events of pods that have not been observed, with the poll in which they came.
    orphan_events: BTreeMap<String, (u64, Vec<Event>)>,
    /// How many polls have ended.
    polls: u64,
    output: Output,
}

#[derive(Debug, Default)]
struct TrackedPod {
    pod: Pod,
    /// Whether it was there before load: only its restarts and kills from then on count.
    is_existing: bool,
    component: String,
    restarts: u64,
    /// Containers that were killed for lack of memory, and when.
    kills: BTreeSet<(String, Option<Instant>)>,
    /// How often each event has been seen to happen.
    events: BTreeMap<String, u64>,
    pulls: ImagePulls,
    is_scheduled: bool,
    /// The first start of the main container, and the poll in which it was observed.
    started: Option<(Instant, u64)>,
    is_start_reported: bool,
    /// The poll in which its end was observed.
    over: Option<u64>,
}

/// The image pulls of a pod.
#[derive(Debug, Default)]
struct ImagePulls {
    /// When the pull for a container began.
    begun: BTreeMap<String, Instant>,
    /// The first event about an image: volumes and sandbox were there before it.
    first: Option<Instant>,
    last: Option<Instant>,
    /// When the image of a container was there.
    ready: BTreeMap<String, Instant>,
    /// All pulls together, in seconds.
    took: Option<f64>,
}

impl PodTracker {
    /// Adds a pod that was there before load: only what happens to it from now on counts.
    pub fn add_existing(&mut self, pod: Pod) {
        let restarts = pod.containers().map(|it| it.restart_count).sum();
        let kills = kills(&pod).collect();
        let uid = pod.metadata.uid.clone();
        let component = pod.component();
        self.pods
            .insert(uid, TrackedPod { pod, is_existing: true, component, restarts, kills, ..TrackedPod::default() });
    }

    /// Observes a pod's state, new or known.
    pub fn observe(&mut self, pod: Pod) {
        let uid = pod.metadata.uid.clone();
        if self.done.contains(&uid) {
            return;
        }
        let poll = self.polls;
        let is_new = !self.pods.contains_key(&uid);
        let tracked = self.pods.entry(uid.clone()).or_default();
        tracked.observe(pod, poll, &mut self.output);
        if is_new && let Some((_, events)) = self.orphan_events.remove(&uid) {
            events.into_iter().for_each(|event| tracked.observe_event(&event, &mut self.output));
        }
    }

    /// Observes that a pod is gone, and its last state.
    pub fn observe_deletion(&mut self, pod: Pod) {
        let uid = pod.metadata.uid.clone();
        self.observe(pod);
        self.end(&uid);
        self.done.remove(&uid);
    }

    /// Observes the list of a namespace's pods: those that are known and not among them are gone.
    pub fn observe_list(&mut self, namespace: &str, pods: Vec<Pod>) {
        let there: BTreeSet<String> = pods.iter().map(|pod| pod.metadata.uid.clone()).collect();
        pods.into_iter().for_each(|pod| self.observe(pod));
        let of_namespace = self.pods.iter().filter(|(_, tracked)| tracked.pod.metadata.namespace == namespace);
        let gone: Vec<String> = of_namespace.map(|(uid, _)| uid.clone()).filter(|uid| !there.contains(uid)).collect();
        gone.iter().for_each(|uid| self.end(uid));
    }

    /// Observes an event of a pod; others are ignored.
    pub fn observe_event(&mut self, event: Event) {
        let uid = &event.involved_object.uid;
        if event.involved_object.kind != "Pod" || self.done.contains(uid) {
            return;
        }
        match self.pods.get_mut(uid) {
            Some(tracked) => tracked.observe_event(&event, &mut self.output),
            None => self.orphan_events.entry(uid.clone()).or_insert((self.polls, Vec::new())).1.push(event),
        }
    }

    /// Ends a poll, when all that it brought has been observed. Returns what is new.
    pub fn end_poll(&mut self) -> Output {
        let poll = self.polls;
        let mut over = Vec::new();
        for (uid, tracked) in &mut self.pods {
            if tracked.started.is_some_and(|(_, observed)| observed < poll) {
                tracked.report_start(&mut self.output);
            }
            if tracked.over.is_some_and(|observed| observed < poll) {
                over.push(uid.clone());
            }
        }
        over.iter().for_each(|uid| self.end(uid));
        self.orphan_events.retain(|_, (since, _)| *since + ORPHAN_POLLS > poll);
        self.polls += 1;
        let phase = |wanted: &str| self.pods.values().filter(|it| it.pod.status.phase == wanted).count() as f64;
        for (metric, wanted) in [("k8s_pods_pending", "Pending"), ("k8s_pods_running", "Running")] {
            self.output.samples.push(Sample::new(metric, phase(wanted)));
        }
        if poll == 0 {
            // So that a threshold on them has something to judge when nothing goes wrong.
            self.output.samples.extend(FAILURE_COUNTERS.iter().map(|metric| Sample::new(metric, 0.0)));
        }
        std::mem::take(&mut self.output)
    }

    /// Ends all pods. Returns what is left.
    pub fn finish(&mut self) -> Output {
        let all: Vec<String> = self.pods.keys().cloned().collect();
        all.iter().for_each(|uid| self.end(uid));
        std::mem::take(&mut self.output)
    }

    /// Reports what is left of a pod and forgets it.
    fn end(&mut self, uid: &str) {
        if let Some(mut tracked) = self.pods.remove(uid) {
            self.done.insert(uid.to_owned());
            tracked.report_end(&mut self.output);
        }
    }
}

/// Containers that were killed for lack of memory.
fn kills(pod: &Pod) -> impl Iterator<Item = (String, Option<Instant>)> {
    pod.containers().flat_map(|container| {
        let ends = [&container.state.terminated, &container.last_state.terminated].into_iter().flatten();
        let killed = ends.filter(|end| end.reason == "OOMKilled");
        killed.map(|end| (container.name.clone(), end.finished_at)).collect::<Vec<_>>()
    })
}

impl TrackedPod {
    fn sample(&self, metric: &str, value: f64, at: Option<Instant>) -> Sample {
        let sample = Sample::new(metric, value).tag("component", &self.component);
        match at {
            Some(at) => sample.at(at.unix_ns()),
            None => sample,
        }
    }

    fn observe(&mut self, pod: Pod, poll: u64, output: &mut Output) {
        self.component = pod.component();
        self.pod = pod;
        let restarts: u64 = self.pod.containers().map(|it| it.restart_count).sum();
        if restarts > self.restarts {
            output.samples.push(self.sample("k8s_pod_restarts", (restarts - self.restarts) as f64, None));
            self.restarts = restarts;
        }
        for kill in kills(&self.pod).collect::<Vec<_>>() {
            if self.kills.insert(kill.clone()) {
                output.samples.push(self.sample("k8s_oom_kills", 1.0, kill.1));
            }
        }
        if self.is_existing {
            return;
        }
        if let (Some(scheduled), false) = (self.pod.since("PodScheduled"), self.is_scheduled) {
            self.is_scheduled = true;
            let took = self.pod.metadata.creation_timestamp.map(|created| scheduled.since(created));
            output.samples.extend(took.map(|took| self.sample("k8s_pod_scheduling", took, Some(scheduled))));
        }
        let state = self.pod.main_state().map(|main| &main.state);
        let started = state.and_then(|state| {
            let running = state.running.as_ref().and_then(|it| it.started_at);
            running.or_else(|| state.terminated.as_ref().and_then(|it| it.started_at))
        });
        if let (Some(started), None) = (started, self.started) {
            self.started = Some((started, poll));
        }
        if self.pod.is_over() && self.over.is_none() {
            self.over = Some(poll);
        }
    }

    fn observe_event(&mut self, event: &Event, output: &mut Output) {
        let id = if event.metadata.uid.is_empty() { &event.metadata.name } else { &event.metadata.uid };
        let seen = self.events.entry(id.clone()).or_default();
        let fresh = event.times().saturating_sub(*seen);
        *seen = (*seen).max(event.times());
        if self.is_existing || fresh == 0 {
            return;
        }
        let container = event.container().unwrap_or_default().to_owned();
        match (event.reason.as_str(), event.at()) {
            ("Pulling", Some(at)) => {
                self.pulls.begun.insert(container, at);
                self.pulls.first = Some(self.pulls.first.map_or(at, |first| first.min(at)));
            }
            ("Pulled", Some(at)) => {
                self.pulls.first = Some(self.pulls.first.map_or(at, |first| first.min(at)));
                self.pulls.last = self.pulls.last.max(Some(at));
                let begun = self.pulls.begun.get(&container).copied();
                self.pulls.ready.insert(container.clone(), at);
                if let Some(took) = pull_time(&event.message).or(begun.map(|begun| at.since(begun))) {
                    self.pulls.took = Some(self.pulls.took.unwrap_or_default() + took);
                    let mut sample = self.sample("k8s_image_pull", took, Some(at));
                    if !container.is_empty() {
                        sample = sample.tag("container", &container);
                    }
                    output.samples.push(sample);
                }
            }
            ("FailedScheduling", at) => {
                output.samples.push(self.sample("k8s_scheduling_failures", fresh as f64, at));
            }
            ("FailedMount" | "FailedAttachVolume", at) => {
                output.samples.push(self.sample("k8s_mount_failures", fresh as f64, at));
            }
            _ => {}
        }
    }

    /// From its node until its volumes and sandbox were there. Kubernetes has no event for a mount that went well: either the
    /// pod's condition says so, or the first event about an image, which comes after it.
    fn mount(&self) -> Option<f64> {
        let scheduled = self.pod.since("PodScheduled")?;
        let ready = self.pod.since("PodReadyToStartContainers").or(self.pulls.first)?;
        Some(ready.since(scheduled))
    }

    /// When the image of the main container was there.
    fn image_ready(&self) -> Option<Instant> {
        let main = self.pod.main().and_then(|main| self.pulls.ready.get(&main.name));
        main.copied().or(self.pulls.last)
    }

    /// From the image of the main container until it ran.
    fn start(&self) -> Option<f64> {
        let (started, _) = self.started?;
        Some(started.since(self.image_ready().or_else(|| self.pod.since("Initialized"))?))
    }

    fn startup(&self) -> Option<f64> {
        Some(self.started?.0.since(self.pod.metadata.creation_timestamp?))
    }

    fn finished(&self) -> Option<Instant> {
        self.pod.main_state()?.state.terminated.as_ref()?.finished_at
    }

    fn report_start(&mut self, output: &mut Output) {
        let Some((started, _)) = self.started.filter(|_| !self.is_start_reported && !self.is_existing) else { return };
        self.is_start_reported = true;
        for (metric, value) in [
            ("k8s_pod_mount", self.mount()),
            ("k8s_container_start", self.start()),
            ("k8s_pod_startup", self.startup()),
        ] {
            output.samples.extend(value.map(|value| self.sample(metric, value, Some(started))));
        }
    }

    fn report_end(&mut self, output: &mut Output) {
        if self.is_existing {
            return;
        }
        self.report_start(output);
        let finished = self.finished();
        if let (Some(finished), Some((started, _))) = (finished, self.started) {
            output.samples.push(self.sample("k8s_pod_execution", finished.since(started), Some(finished)));
        }
        if self.pod.is_over() {
            let phase = self.pod.status.phase.to_lowercase();
            output.samples.push(self.sample("k8s_pods_ended", 1.0, finished).tag("phase", &phase));
        }
        output.rows.push(self.row());
    }

    /// In the order of the table's columns.
    fn row(&self) -> Vec<Value> {
        let pod = &self.pod;
        let created = pod.metadata.creation_timestamp;
        let scheduling = pod.since("PodScheduled").zip(created).map(|(at, created)| at.since(created));
        let started = self.started.map(|(at, _)| at);
        let finished = self.finished();
        let execution = finished.zip(started).map(|(finished, started)| finished.since(started));
        vec![
            pod.run().unwrap_or(&pod.metadata.name).into(),
            self.component.as_str().into(),
            pod.metadata.name.as_str().into(),
            pod.metadata.namespace.as_str().into(),
            pod.run().into(),
            pod.spec.node_name.as_deref().into(),
            pod.main().map(|main| main.image.as_str()).into(),
            pod.status.phase.as_str().into(),
            created.into(),
            pod.since("PodScheduled").into(),
            self.image_ready().into(),
            started.into(),
            finished.into(),
            scheduling.into(),
            self.mount().into(),
            self.pulls.took.into(),
            self.start().into(),
            self.startup().into(),
            execution.into(),
            i64::try_from(self.restarts).unwrap_or(i64::MAX).into(),
            (!self.kills.is_empty()).into(),
        ]
    }
}

/// How long a pull took, as the kubelet tells it: `Successfully pulled image "x" in 2.5s (4s including waiting)`.
fn pull_time(message: &str) -> Option<f64> {
    let (_, rest) = message.split_once("\" in ")?;
    let text = rest.split([' ', ',', '(']).next()?.trim_end_matches('.');
    duration::parse(text).ok().map(|took| took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod as of second `now`: created at 0, scheduled at 2, started at 6, over at 9.
    fn pod(uid: &str, now: i64) -> Pod {
        let second = |at: i64| format!("1970-01-01T00:00:{at:02}Z");
        let held = |kind: &str, at: i64| {
            let status = if at <= now { "True" } else { "False" };
            format!(r#"{{"type": "{kind}", "status": "{status}", "lastTransitionTime": "{}"}}"#, second(at.min(now)))
        };
        let (phase, state) = match now {
            9.. => (
                "Succeeded",
                format!(
                    r#"{{"terminated": {{"reason": "Completed", "startedAt": "{}", "finishedAt": "{}"}}}}"#,
                    second(6),
                    second(9)
                ),
            ),
            6.. => ("Running", format!(r#"{{"running": {{"startedAt": "{}"}}}}"#, second(6))),
            _ => ("Pending", r#"{"waiting": {"reason": "ContainerCreating"}}"#.to_owned()),
        };
        serde_json::from_str(&format!(
            r#"{{"metadata": {{"name": "p-{uid}", "namespace": "n", "uid": "{uid}", "creationTimestamp": "{}",
                "labels": {{"pipeline/runid": "r1"}},
                "annotations": {{"workflows.argoproj.io/node-name": "wf.root.work.executor"}}}},
            "spec": {{"nodeName": "node-1", "containers": [{{"name": "wait", "image": "w"}}, {{"name": "main", "image": "m"}}]}},
            "status": {{"phase": "{phase}", "conditions": [{}, {}],
                "containerStatuses": [{{"name": "main", "restartCount": 0, "state": {state}, "lastState": {{}}}}]}}}}"#,
            second(0),
            held("PodScheduled", 2),
            held("Initialized", 3),
        ))
        .unwrap()
    }

    fn event(uid: &str, name: &str, reason: &str, second: i64, message: &str, count: u64) -> Event {
        let message = serde_json::Value::from(message);
        serde_json::from_str(&format!(
            r#"{{"metadata": {{"name": "{name}", "uid": "{name}"}}, "reason": "{reason}", "message": {message}, "count": {count},
            "involvedObject": {{"kind": "Pod", "uid": "{uid}", "fieldPath": "spec.containers{{main}}"}},
            "lastTimestamp": "1970-01-01T00:00:{second:02}Z"}}"#
        ))
        .unwrap()
    }

    fn figures(output: &Output) -> Vec<(&str, f64, Option<u64>)> {
        let own = output.samples.iter().filter(|it| !it.tags.is_empty());
        own.map(|it| (it.metric.as_str(), it.value, it.at.map(|at| at / 1_000_000_000))).collect()
    }

    #[test]
    fn a_life_is_reported_once_whatever_comes_twice() {
        let mut tracker = PodTracker::default();
        // The event is there before the pod.
        tracker.observe_event(event("a", "e1", "Pulling", 3, "Pulling image \"m\"", 1));
        tracker.end_poll();
        tracker.observe(pod("a", 4));
        tracker.observe(pod("a", 4));
        tracker.observe_event(event(
            "a",
            "e2",
            "Pulled",
            5,
            "Successfully pulled image \"m\" in 1.745s (2s including waiting). Image size: 3 bytes.",
            1,
        ));
        tracker.observe_event(event("a", "e2", "Pulled", 5, "again", 1));
        let output = tracker.end_poll();
        assert_eq!(figures(&output), [("k8s_pod_scheduling", 2.0, Some(2)), ("k8s_image_pull", 1.745, Some(5))]);
        assert!(output.samples[1].tags.contains(&("container".to_owned(), "main".to_owned())));
        tracker.observe(pod("a", 7));
        assert_eq!(figures(&tracker.end_poll()), []);
        let output = tracker.end_poll();
        let wanted =
            [("k8s_pod_mount", 1.0, Some(6)), ("k8s_container_start", 1.0, Some(6)), ("k8s_pod_startup", 6.0, Some(6))];
        assert_eq!(figures(&output), wanted);
        tracker.observe(pod("a", 9));
        tracker.end_poll();
        let output = tracker.end_poll();
        assert_eq!(figures(&output), [("k8s_pod_execution", 3.0, Some(9)), ("k8s_pods_ended", 1.0, Some(9))]);
        assert_eq!(output.rows.len(), 1);
        assert_eq!(output.rows[0].len(), crate::description::columns());
        // A fresh list shows it again.
        tracker.observe_list("n", vec![pod("a", 9)]);
        assert!(figures(&tracker.end_poll()).is_empty() && tracker.finish().rows.is_empty());
    }

    #[test]
    fn of_pods_from_before_only_what_happens_now_counts() {
        let mut tracker = PodTracker::default();
        let restarted = |restarts: u64, killed: bool| {
            let mut pod = pod("old", 7);
            let status = &mut pod.status.container_statuses.as_mut().unwrap()[0];
            status.restart_count = restarts;
            if killed {
                let end = crate::object::Terminated {
                    reason: "OOMKilled".into(),
                    finished_at: Some(Instant::from_unix_ns(8_000_000_000)),
                    started_at: None,
                };
                status.last_state.terminated = Some(end);
            }
            pod
        };
        tracker.add_existing(restarted(3, false));
        tracker.observe_event(event("old", "e", "Pulled", 1, "Successfully pulled image \"m\" in 1s", 1));
        tracker.observe(restarted(4, true));
        tracker.observe(restarted(4, true));
        assert_eq!(figures(&tracker.end_poll()), [("k8s_pod_restarts", 1.0, None), ("k8s_oom_kills", 1.0, Some(8))]);
        assert!(tracker.finish().rows.is_empty());
    }

    #[test]
    fn a_pod_that_is_gone_when_we_look_again_has_its_row() {
        let mut tracker = PodTracker::default();
        tracker.observe(pod("a", 7));
        tracker.observe(pod("b", 4));
        tracker.observe_deletion(pod("b", 5));
        tracker.observe_list("other", Vec::new());
        let output = tracker.end_poll();
        assert_eq!(output.rows.len(), 1, "only the deleted one");
        tracker.observe_list("n", Vec::new());
        let output = tracker.end_poll();
        assert_eq!(output.rows.len(), 1);
        assert_eq!(figures(&output).len(), 2, "mount is not known, start and start-up are: {:?}", figures(&output));
    }

    #[test]
    fn failures_are_counted_by_how_often_their_event_came() {
        let mut tracker = PodTracker::default();
        tracker.observe(pod("a", 1));
        for count in [1, 3, 3] {
            tracker.observe_event(event("a", "e", "FailedMount", 1, "MountVolume.SetUp failed", count));
        }
        let output = tracker.end_poll();
        let failures: f64 =
            output.samples.iter().filter(|it| it.metric == "k8s_mount_failures").map(|it| it.value).sum();
        assert!((failures - 3.0).abs() < 1e-12);
    }

    #[test]
    fn pull_times_are_read_from_what_the_kubelet_says() {
        let read = |text: &str| pull_time(text).map(|seconds| (seconds * 1000.0).round());
        assert_eq!(
            read("Successfully pulled image \"a\" in 845ms (845ms including waiting). Image size: 1 bytes."),
            Some(845.0)
        );
        assert_eq!(read("Successfully pulled image \"a:b in c\" in 1m2.5s (1m3s including waiting)"), Some(62_500.0));
        assert_eq!(read("Successfully pulled image \"a\" in 3.123456789s"), Some(3123.0));
        assert_eq!(read("Successfully pulled image \"a\""), None);
        assert_eq!(read("Container image \"a\" already present on machine"), None);
    }
}
