//! Follows the pods of namespaces through the Kubernetes API: how long they wait for a node, for their volumes and images, for
//! their start; how often they are started again or killed for lack of memory.
//!
//! In come namespaces and a label selector; out go samples tagged with the component (of Kubeflow Pipelines, the task), a row per
//! pod, and facts about the cluster. It begins with a list and goes on with watches; nothing that the API has told is lost when a
//! connection breaks or a version is forgotten.

mod book;
mod client;
mod description;
mod facts;
mod object;

use std::cell::RefCell;

use futures_util::future::join_all;
use kperf_plugin_sdk::{
    Collection, Collector, Description, Failure, Window, export_collector, http::encode, metrics, notes, records,
};
use serde::Deserialize;

use book::{Book, News};
use client::{Happened, Resource, Watched};
use object::{Event, Pod};

/// The plugin.
pub struct KubernetesCollector {
    page: u32,
    namespaces: Vec<Namespace>,
    book: RefCell<Book>,
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
    /// What is there before load: it is known, and not told.
    async fn begin(&self) -> Result<(), Failure> {
        for namespace in &self.namespaces {
            let listed = namespace.pods.list::<Pod>(self.page).await?;
            listed.items.into_iter().for_each(|pod| self.book.borrow_mut().know(pod));
            namespace.pods_version.replace(listed.version);
            namespace.events_version.replace(namespace.events.version().await?);
        }
        Ok(())
    }

    async fn follow_pods(&self, namespace: &Namespace) -> Result<(), Failure> {
        let version = namespace.pods_version.borrow().clone();
        let version = match namespace.pods.watch::<Pod>(&version).await? {
            Watched::Changes(changes, version, unread) => {
                name(&unread);
                let mut book = self.book.borrow_mut();
                for change in changes {
                    match change {
                        Happened::Changed(pod) => book.change(pod),
                        Happened::Deleted(pod) => book.delete(pod),
                    }
                }
                version
            }
            Watched::Gone => {
                let listed = namespace.pods.list::<Pod>(self.page).await?;
                self.book.borrow_mut().replace(&namespace.name, listed.items);
                listed.version
            }
        };
        namespace.pods_version.replace(version);
        Ok(())
    }

    async fn follow_events(&self, namespace: &Namespace) -> Result<(), Failure> {
        let version = namespace.events_version.borrow().clone();
        let (events, version) = match namespace.events.watch::<Event>(&version).await? {
            Watched::Changes(changes, version, unread) => {
                name(&unread);
                let there = changes.into_iter().filter_map(|change| match change {
                    Happened::Changed(event) => Some(event),
                    // An event's time is over; what it told is known.
                    Happened::Deleted(_) => None,
                });
                (there.collect(), version)
            }
            Watched::Gone => {
                let listed = namespace.events.list::<Event>(self.page).await?;
                (listed.items, listed.version)
            }
        };
        events.into_iter().for_each(|event| self.book.borrow_mut().hear(event));
        namespace.events_version.replace(version);
        Ok(())
    }

    /// One look at everything. A part that fails is tried again the next time, from where it was.
    async fn look(&self) -> Result<(), Failure> {
        let pods = join_all(self.namespaces.iter().map(|namespace| self.follow_pods(namespace)));
        let events = join_all(self.namespaces.iter().map(|namespace| self.follow_events(namespace)));
        let (pods, events) = futures_util::future::join(pods, events).await;
        let news = self.book.borrow_mut().settle();
        tell(news);
        pods.into_iter().chain(events).collect()
    }
}

/// Names objects that could not be read.
fn name(unread: &[String]) {
    if let Some(why) = unread.first() {
        notes::incident("unread-object", &format!("an object is not what was expected: {why}"), unread.len() as u64);
    }
}

fn tell(news: News) {
    metrics::emit(&news.samples);
    for row in &news.rows {
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
        let collector = Self { page, namespaces, book: RefCell::default() };
        facts::note(page).await?;
        collector.begin().await?;
        Ok(collector)
    }

    async fn collect(&self) -> Result<(), Failure> {
        self.look().await
    }

    async fn finish(&self, _: Window) -> Result<(), Failure> {
        let looked = self.look().await;
        tell(self.book.borrow_mut().close());
        looked
    }
}

export_collector!(KubernetesCollector);
