//! All processes at an instant.

use std::collections::HashMap;
use std::time::Duration;

/// A process for its whole life: its number, and when it started, since numbers are used again.
pub(crate) type Key = (u32, u64);

/// A process at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) parent: u32,
    pub(crate) started: u64,
    pub(crate) name: String,
    /// CPU time of its own threads.
    pub(crate) own: Duration,
    /// CPU time of children that ended and were waited for, and of theirs.
    pub(crate) reaped: Duration,
    /// Resident bytes.
    pub(crate) memory: u64,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) processes: HashMap<u32, Process>,
}

impl Snapshot {
    pub(crate) fn get(&self, (pid, started): Key) -> Option<&Process> {
        self.processes.get(&pid).filter(|process| process.started == started)
    }

    pub(crate) fn key(&self, pid: u32) -> Option<Key> {
        self.processes.get(&pid).map(|process| (pid, process.started))
    }

    /// A process and its ancestors.
    pub(crate) fn line(&self, pid: u32) -> Vec<u32> {
        let mut line = Vec::new();
        let mut at = pid;
        while let Some(process) = self.processes.get(&at) {
            if line.contains(&at) {
                break;
            }
            line.push(at);
            at = process.parent;
        }
        line
    }

    /// Adds to `chosen` whoever descends from one of them.
    pub(crate) fn with_descendants(&self, mut chosen: Vec<u32>) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, process) in &self.processes {
            children.entry(process.parent).or_default().push(*pid);
        }
        let mut at = 0;
        while let Some(pid) = chosen.get(at).copied() {
            for child in children.get(&pid).map(Vec::as_slice).unwrap_or_default() {
                if !chosen.contains(child) {
                    chosen.push(*child);
                }
            }
            at += 1;
        }
        chosen
    }
}
