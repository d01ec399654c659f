//! Follows the pods of namespaces through the Kubernetes API: how long they wait for a node, for their volumes and images, for
//! their start; how often they are started again or killed for lack of memory.
//!
//! In come namespaces and a label selector; out go samples tagged with the component (of Kubeflow Pipelines, the task), a row per
//! pod, and facts about the cluster. It begins with a list and goes on with watches; nothing that the API has reported is lost when a
//! connection breaks or a version is forgotten.

mod client;
mod description;
mod facts;
mod object;
mod pod_tracker;

use std::cell::RefCell;

use futures_util::future::join_all;
use kperf_plugin_sdk::{
    Collection, Collector, Description, Failure, Window, export_collector, http::encode, metrics, notes, records,
};
use serde::Deserialize;

use client::{Change, Resource, Watch};
use object::{Event, Pod};
use pod_tracker::{Output, PodTracker};

/// The pods of some namespaces, as far as they have been polled.
pub struct KubernetesCollector {
    page: u32,
    namespaces: Vec<Namespace>,
    tracker: RefCell<PodTracker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    namespaces: Vec<String>,
    selector: String,
    page: u32,
}

/// A namespace and the versions up to which everything is known.
struct Namespace {
    name: String,
    pods: Resource,
    events: Resource,
    pods_version: RefCell<String>,
    events_version: RefCell<String>,
}

impl Namespace {
    fn new(name: String, selector: &str) -> Self {
        let base = format!("/api/v1/namespaces/{name}");
        let selector = if selector.is_empty() { String::new() } else { format!("labelSelector={}&", encode(selector)) };
        Self {
            pods: Resource { list: "list_pods", watch: "watch_pods", path: format!("{base}/pods"), selector },
            // Events have no labels.
            events: Resource {
                list: "list_events",
                watch: "watch_events",
                path: format!("{base}/events"),
                selector: String::new(),
            },
            name,
            pods_version: RefCell::default(),
            events_version: RefCell::default(),
        }
    }
}

impl KubernetesCollector {
    /// Lists the pods that are there before load.
    async fn list_existing(&self) -> Result<(), Failure> {
        for namespace in &self.namespaces {
            let listed = namespace.pods.list::<Pod>(self.page).await?;
            listed.items.into_iter().for_each(|pod| self.tracker.borrow_mut().add_existing(pod));
            namespace.pods_version.replace(listed.version);
            namespace.events_version.replace(namespace.events.version().await?);
        }
        Ok(())
    }

    async fn poll_pods(&self, namespace: &Namespace) -> Result<(), Failure> {
        let version = namespace.pods_version.borrow().clone();
        let version = match namespace.pods.watch::<Pod>(&version).await? {
            Watch::Changes { changes, version, unread } => {
                note_unread(&unread);
                let mut tracker = self.tracker.borrow_mut();
                for change in changes {
                    match change {
                        Change::Updated(pod) => tracker.observe(pod),
                        Change::Deleted(pod) => tracker.observe_deletion(pod),
                    }
                }
                version
            }
            Watch::Expired => {
                let listed = namespace.pods.list::<Pod>(self.page).await?;
                self.tracker.borrow_mut().observe_list(&namespace.name, listed.items);
                listed.version
            }
        };
        namespace.pods_version.replace(version);
        Ok(())
    }

    async fn poll_events(&self, namespace: &Namespace) -> Result<(), Failure> {
        let version = namespace.events_version.borrow().clone();
        let (events, version) = match namespace.events.watch::<Event>(&version).await? {
            Watch::Changes { changes, version, unread } => {
                note_unread(&unread);
                let there = changes.into_iter().filter_map(|change| match change {
                    Change::Updated(event) => Some(event),
                    // Only its time to live is over.
                    Change::Deleted(_) => None,
                });
                (there.collect(), version)
            }
            Watch::Expired => {
                let listed = namespace.events.list::<Event>(self.page).await?;
                (listed.items, listed.version)
            }
        };
        events.into_iter().for_each(|event| self.tracker.borrow_mut().observe_event(event));
        namespace.events_version.replace(version);
        Ok(())
    }

    /// Polls everything. A part that fails is tried again the next time, from where it was.
    async fn poll(&self) -> Result<(), Failure> {
        let pods = join_all(self.namespaces.iter().map(|namespace| self.poll_pods(namespace)));
        let events = join_all(self.namespaces.iter().map(|namespace| self.poll_events(namespace)));
        let (pods, events) = futures_util::future::join(pods, events).await;
        let output = self.tracker.borrow_mut().end_poll();
        emit(output);
        pods.into_iter().chain(events).collect()
    }
}

/// Notes objects that could not be read.
fn note_unread(unread: &[String]) {
    if let Some(why) = unread.first() {
        notes::incident("unread-object", &format!("an object is not what was expected: {why}"), unread.len() as u64);
    }
}

fn emit(output: Output) {
    metrics::emit(&output.samples);
    for row in &output.rows {
        records::append("pods", row);
    }
}

impl Collector for KubernetesCollector {
    fn describe() -> Description {
        description::description()
    }

    async fn start(collection: Collection) -> Result<Self, Failure> {
        let Params { namespaces, selector, page } = collection.params()?;
        let namespaces = namespaces.into_iter().map(|name| Namespace::new(name, &selector)).collect();
        let collector = Self { page, namespaces, tracker: RefCell::default() };
        facts::note(page).await?;
        collector.list_existing().await?;
        Ok(collector)
    }

    async fn collect(&self) -> Result<(), Failure> {
        self.poll().await
    }

    async fn finish(&self, _: Window) -> Result<(), Failure> {
        let polled = self.poll().await;
        emit(self.tracker.borrow_mut().finish());
        polled
    }
}

export_collector!(KubernetesCollector);
