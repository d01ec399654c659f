//! The lists and watches of pods and events that the Kubernetes API offers, for collectors that look beside Kubeflow
//! Pipelines.
//!
//! A resource version is an instant: a list shows the cluster at one, and a watch the changes after one. Selectors
//! are `labelSelector` (`key=value`, joined by commas) and, for events, `fieldSelector=involvedObject.name=POD`; lists come in
//! pages by `limit` and `continue`. Versions before the last compaction are gone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::kfp::json::parse_id;
use crate::kfp::store::Store;
use crate::kubernetes::pods::{Pod, RUN};
use crate::query::Query;
use crate::timestamp::Nanos;

/// How long history is kept, as etcd usually does.
const HISTORY: Nanos = 300_000_000_000;

/// The kinds that can be listed and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Pods,
    Events,
}

impl Resource {
    fn kind(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Events => "Event",
        }
    }
}

/// A refusal, as the API answers it.
#[derive(Debug, Clone)]
pub(crate) struct StatusError {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The `Status` object.
    pub(crate) body: Value,
}

impl StatusError {
    pub(crate) fn new(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code});
        Self { code, body }
    }

    fn bad(message: &str) -> Self {
        Self::new(400, "BadRequest", message)
    }
}

/// Which objects a list or watch selects.
pub(crate) struct Selection {
    resource: Resource,
    namespace: String,
    /// Labels of pods that must agree.
    labels: Vec<(String, String)>,
    /// The only pod whose events are selected.
    pod: Option<String>,
}

impl Selection {
    pub(crate) fn new(resource: Resource, namespace: &str, query: &Query) -> Result<Self, StatusError> {
        let text = query.get("labelSelector").unwrap_or_default();
        let Some(labels) = pairs(text) else {
            return Err(StatusError::bad(&format!("unable to parse requirement: {text}: only key=value is known")));
        };
        let text = query.get("fieldSelector").unwrap_or_default();
        let pod = match (resource, pairs(text).as_deref()) {
            (_, Some([])) => None,
            (Resource::Events, Some([(field, name)])) if field == "involvedObject.name" => Some(name.clone()),
            _ => return Err(StatusError::bad(&format!("field label not supported: {text}"))),
        };
        Ok(Self { resource, namespace: namespace.to_owned(), labels, pod })
    }

    fn run(&self) -> Option<Uuid> {
        let selected = self.labels.iter().find(|(key, _)| self.resource == Resource::Pods && key == RUN);
        selected.map(|(_, id)| parse_id(id))
    }

    fn matches(&self, pod: &Pod<'_>) -> bool {
        if self.resource == Resource::Events {
            // Events have no labels.
            return self.labels.is_empty() && self.pod.as_ref().is_none_or(|name| pod.name == *name);
        }
        let labels = if self.labels.is_empty() { Map::new() } else { pod.labels() };
        self.labels.iter().all(|(key, value)| labels.get(key).is_some_and(|has| has == value))
    }
}

/// `key=value` pairs that must all hold; `None` if it is written otherwise.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let split = |part: &str| {
        let (key, value) = part.split_once("==").or_else(|| part.split_once('='))?;
        Some((key.to_owned(), value.to_owned()))
    };
    parts.map(split).collect()
}

/// Adds kind and version, which an object has only outside of lists.
fn with_kind(resource: Resource, object: Value) -> Value {
    let mut all = Map::new();
    all.insert("kind".to_owned(), json!(resource.kind()));
    all.insert("apiVersion".to_owned(), json!("v1"));
    if let Value::Object(object) = object {
        all.extend(object);
    }
    Value::Object(all)
}

/// A line of a watch.
fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

/// A line of a watch that says up to where it has come.
pub(crate) fn bookmark(resource: Resource, now: Nanos) -> String {
    let metadata = json!({"resourceVersion": now.to_string(), "creationTimestamp": null});
    let object = match resource {
        Resource::Pods => json!({"metadata": metadata, "spec": {"containers": null}, "status": {}}),
        Resource::Events => json!({"metadata": metadata, "involvedObject": {}}),
    };
    line("BOOKMARK", &with_kind(resource, object))
}

/// A line of a watch that ends it.
pub(crate) fn failed(refusal: &StatusError) -> String {
    line("ERROR", &refusal.body)
}

impl Store {
    /// Forgets what was before now: older resource versions are too old from here on.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.now();
    }

    fn is_forgotten(&self, version: Nanos) -> bool {
        version < self.compacted.max(self.now().saturating_sub(HISTORY))
    }

    /// Everything selected as it was at an instant, in a stable order.
    fn listed(&self, selection: &Selection, at: Nanos) -> Vec<Value> {
        let pods = self.pods(&selection.namespace, selection.run(), 0);
        let as_of = pods.filter_map(|pod| pod.as_of(at)).filter(|pod| selection.matches(pod));
        match selection.resource {
            Resource::Pods => as_of.map(|pod| pod.json()).collect(),
            Resource::Events => as_of
                .flat_map(|pod| {
                    let events = pod.events();
                    events.iter().enumerate().map(|(number, it)| pod.event(number, it)).collect::<Vec<_>>()
                })
                .collect(),
        }
    }

    /// A page of a list: status and body. The clock must have been caught up with.
    pub(crate) fn list(&self, selection: &Selection, query: &Query) -> (u16, Value) {
        let (at, offset) = match query.get("continue").filter(|token| !token.is_empty()).map(read_token) {
            None => (self.cluster.now(), 0),
            Some(None) => return refused(StatusError::bad("continue key is not valid")),
            Some(Some((at, _))) if self.is_forgotten(at) => {
                let text = "The provided continue parameter is too old to display a consistent list result. You can \
                            start a new list without the continue parameter.";
                return refused(StatusError::new(410, "Expired", text));
            }
            Some(Some(place)) => place,
        };
        let limit = query.get("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0);
        let mut items = self.listed(selection, at).into_iter().skip(offset);
        let page: Vec<Value> = items.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
        let left = items.count();
        let mut metadata = json!({"resourceVersion": at.to_string()});
        if let (Some(metadata), true) = (metadata.as_object_mut(), left > 0) {
            let token = STANDARD.encode(format!("{at}:{}", offset + page.len()));
            metadata.insert("continue".to_owned(), json!(token));
            metadata.insert("remainingItemCount".to_owned(), json!(left));
        }
        let kind = format!("{}List", selection.resource.kind());
        (200, json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": page}))
    }

    /// The begin of a watch: its first lines, and the version after which it goes on.
    ///
    /// # Errors
    /// The version can't be read, or is too old.
    pub(crate) fn watch_from(&self, selection: &Selection, query: &Query) -> Result<(String, Nanos), StatusError> {
        match query.get("resourceVersion").unwrap_or_default() {
            "" | "0" => {
                let now = self.cluster.now();
                let added = |object| line("ADDED", &with_kind(selection.resource, object));
                Ok((self.listed(selection, now).into_iter().map(added).collect(), now))
            }
            text => match text.parse() {
                Err(_) => Err(StatusError::bad(&format!("Invalid value: \"{text}\": resourceVersion"))),
                Ok(version) if self.is_forgotten(version) => {
                    let text = format!("too old resource version: {version} ({})", self.compacted);
                    Err(StatusError::new(410, "Expired", &text))
                }
                Ok(version) => Ok((String::new(), version)),
            },
        }
    }

    /// The changes after one instant, up to another that has been caught up with: lines of a watch.
    pub(crate) fn changes(&self, selection: &Selection, since: Nanos, until: Nanos) -> String {
        let pods = self.pods(&selection.namespace, selection.run(), since);
        let within = |at: Nanos| at > since && at <= until;
        let mut changes: Vec<(Nanos, String)> = Vec::new();
        for pod in pods {
            match selection.resource {
                Resource::Pods => {
                    let mut seen = None;
                    for at in pod.changes().filter(|at| within(*at)) {
                        if Some(at) != pod.deleted && Some(at) != seen {
                            seen = Some(at);
                            let kind = if Some(at) == pod.created() { "ADDED" } else { "MODIFIED" };
                            let then = pod.as_of(at).filter(|pod| selection.matches(pod));
                            changes
                                .extend(then.map(|pod| (at, line(kind, &with_kind(selection.resource, pod.json())))));
                        } else if Some(at) == pod.deleted {
                            let last = pod.as_of(at - 1).filter(|pod| selection.matches(pod));
                            changes.extend(last.map(|pod| (at, line("DELETED", &deleted(pod.json(), at)))));
                        }
                    }
                }
                Resource::Events if selection.matches(&pod) => {
                    let events = pod.events();
                    let fresh = events.iter().enumerate().filter(|(_, event)| within(event.at));
                    let lines = fresh.map(|(number, it)| {
                        (it.at, line("ADDED", &with_kind(selection.resource, pod.event(number, it))))
                    });
                    changes.extend(lines);
                }
                Resource::Events => {}
            }
        }
        changes.sort_by_key(|(at, _)| *at);
        changes.into_iter().map(|(_, line)| line).collect()
    }
}

/// A deleted pod: its last state, with the version of its deletion.
fn deleted(mut pod: Value, at: Nanos) -> Value {
    if let Some(version) = pod.pointer_mut("/metadata/resourceVersion") {
        *version = json!(at.to_string());
    }
    with_kind(Resource::Pods, pod)
}

fn refused(refusal: StatusError) -> (u16, Value) {
    (refusal.code, refusal.body)
}

/// The instant and the place that a `continue` token stands for.
fn read_token(token: &str) -> Option<(Nanos, usize)> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (at, offset) = text.split_once(':')?;
    Some((at.parse().ok()?, offset.parse().ok()?))
}
