//! What chosen processes used since they were last looked at.
//!
//! A process that ends between two looks takes its counters with it, but whoever waits for it inherits them: the kernel adds
//! them to what the parent's children used. So the sum over a tree of processes is exact, whatever comes and goes in it, as
//! long as what was counted before is taken off the inheritance.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::snapshot::{Key, Snapshot};
use crate::{Choice, Traffic, Unavailable, linux};

/// A part of the system under test: a name, and which processes it is made of.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// How its processes are chosen.
    pub choice: Choice,
    /// Whether their descendants belong to it.
    pub children: bool,
}

/// What a component used between two looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The component.
    pub component: String,
    /// Processes now.
    pub processes: usize,
    /// CPU time used since the last look; none at the first one.
    pub cpu: Option<Duration>,
    /// How long ago the last look was.
    pub elapsed: Duration,
    /// Bytes of memory that they occupy now (resident sets; what processes share counts for each).
    pub memory: u64,
    /// Bytes read from and written to disks since the last look; none where this may not be read.
    pub disk: Option<Traffic>,
    /// Bytes received and sent since the last look; none for processes in this process's network namespace, where the kernel
    /// does not tell them apart.
    pub network: Option<Traffic>,
}

/// Watches components.
pub struct Observer {
    components: Vec<Watched>,
    last: Option<(Instant, Snapshot)>,
}

struct Watched {
    component: Component,
    members: HashSet<Key>,
    disk: HashMap<Key, Traffic>,
    network: BTreeMap<u64, Traffic>,
}

impl Observer {
    /// Watches these components from now on.
    ///
    /// # Errors
    /// If this machine does not tell of its processes.
    pub fn new(components: Vec<Component>) -> Result<Self, Unavailable> {
        let watched =
            |component| Watched { component, members: HashSet::new(), disk: HashMap::new(), network: BTreeMap::new() };
        let mut observer = Self { components: components.into_iter().map(watched).collect(), last: None };
        observer.look()?;
        Ok(observer)
    }

    /// What each component used since the last look, in the order in which they were given.
    ///
    /// # Errors
    /// If this machine does not tell of its processes.
    pub fn look(&mut self) -> Result<Vec<Observed>, Unavailable> {
        let (now, snapshot) = (Instant::now(), linux::snapshot()?);
        let last = self.last.as_ref();
        let observed = self.components.iter_mut().map(|it| it.look(now, &snapshot, last)).collect();
        self.last = Some((now, snapshot));
        Ok(observed)
    }
}

impl Watched {
    fn look(&mut self, now: Instant, snapshot: &Snapshot, last: Option<&(Instant, Snapshot)>) -> Observed {
        let chosen = chosen(&self.component.choice, snapshot);
        let pids = if self.component.children { snapshot.with_descendants(chosen) } else { chosen };
        let members: HashSet<Key> = pids.iter().filter_map(|pid| snapshot.key(*pid)).collect();
        let cpu = last.map(|(_, before)| {
            let heirs = heirs(&self.members, before, snapshot);
            let inheritance = |key: &Key| {
                let gone = heirs.get(key).map(Vec::as_slice).unwrap_or_default();
                gone.iter().filter_map(|gone| before.get(*gone)).map(|it| it.own + it.reaped).sum::<Duration>()
            };
            let used = members.iter().filter_map(|key| {
                let now = snapshot.get(*key)?;
                // Who was not there before began at nothing.
                let then = before.get(*key);
                let own = now.own.saturating_sub(then.map_or(Duration::ZERO, |it| it.own));
                let reaped = now.reaped.saturating_sub(then.map_or(Duration::ZERO, |it| it.reaped));
                let counted =
                    if self.component.children { reaped.saturating_sub(inheritance(key)) } else { Duration::ZERO };
                Some(own + counted)
            });
            used.sum()
        });
        let memory = members.iter().filter_map(|key| snapshot.get(*key)).map(|process| process.memory).sum();
        let disk = self.disk(&members, snapshot, last.map(|(_, before)| before));
        let network = self.network(&members);
        let processes = members.len();
        self.members = members;
        Observed {
            component: self.component.name.clone(),
            processes,
            cpu,
            elapsed: last.map_or(Duration::ZERO, |(then, _)| now.saturating_duration_since(*then)),
            memory,
            disk,
            network,
        }
    }

    /// A parent's counters of the disk take in those of its children when it has waited for them.
    fn disk(&mut self, members: &HashSet<Key>, snapshot: &Snapshot, before: Option<&Snapshot>) -> Option<Traffic> {
        let seen: HashMap<Key, Traffic> =
            members.iter().filter_map(|key| Some((*key, linux::disk_of(key.0)?))).collect();
        let heirs = before.map(|before| heirs(&self.members, before, snapshot)).unwrap_or_default();
        let mut sum = (!seen.is_empty() || members.is_empty()).then(Traffic::default)?;
        for (key, now) in &seen {
            let Some(then) = self.disk.get(key).copied().or_else(|| {
                let is_new = before.is_some_and(|before| before.get(*key).is_none());
                is_new.then(Traffic::default)
            }) else {
                continue;
            };
            let gone = heirs.get(key).map(Vec::as_slice).unwrap_or_default();
            let inherited =
                gone.iter().filter_map(|gone| self.disk.get(gone)).fold(Traffic::default(), |a, b| a.plus(*b));
            sum = sum.plus(now.since(then).since(inherited));
        }
        self.disk = seen;
        Some(sum)
    }

    /// The namespaces of its processes that are not this process's own.
    fn network(&mut self, members: &HashSet<Key>) -> Option<Traffic> {
        let own = linux::network_of(std::process::id()).map(|(namespace, _)| namespace);
        let foreign = members.iter().filter_map(|(pid, _)| linux::network_of(*pid));
        let seen: BTreeMap<u64, Traffic> = foreign.filter(|(namespace, _)| Some(*namespace) != own).collect();
        let used = seen.iter().filter_map(|(namespace, now)| Some(now.since(*self.network.get(namespace)?)));
        let sum = used.fold(Traffic::default(), Traffic::plus);
        let known = !seen.is_empty();
        self.network = seen;
        known.then_some(sum)
    }
}

fn chosen(choice: &Choice, snapshot: &Snapshot) -> Vec<u32> {
    let there = |pid: u32| snapshot.processes.contains_key(&pid).then_some(pid);
    match choice {
        Choice::Pid(pid) => there(*pid).into_iter().collect(),
        Choice::PidFile(path) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace().next().and_then(|pid| there(pid.parse().ok()?)).into_iter().collect()
        }
        Choice::Matching(pattern) => {
            let line = snapshot.line(std::process::id());
            let others = snapshot.processes.iter().filter(|(pid, _)| !line.contains(pid));
            others
                .filter(|(pid, process)| pattern.matches(&process.name, || linux::arguments_of(**pid)))
                .map(|(pid, _)| *pid)
                .collect()
        }
    }
}

/// Which processes have inherited the counters of which members that are gone: the nearest ancestor that is still there.
fn heirs(members: &HashSet<Key>, before: &Snapshot, now: &Snapshot) -> HashMap<Key, Vec<Key>> {
    let mut heirs: HashMap<Key, Vec<Key>> = HashMap::new();
    for gone in members.iter().filter(|key| now.get(**key).is_none()) {
        let line = before.line(gone.0);
        let heir = line.iter().skip(1).filter_map(|pid| before.key(*pid)).find(|key| now.get(*key).is_some());
        if let Some(heir) = heir {
            heirs.entry(heir).or_default().push(*gone);
        }
    }
    heirs
}
