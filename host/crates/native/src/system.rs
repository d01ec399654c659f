//! `system-collector`: what chosen processes and this machine use.

use std::path::Path;
use std::time::{Duration, Instant};

use kperf_system::{Choice, Component, Machine, Observer, Pattern};
use serde::Deserialize;

use crate::{Collection, Collector, Failure, Kind, Level, Observations};

/// What it says of itself.
pub(crate) const DESCRIPTION: &str = concat!(
    r#"{"name": "system-collector", "version": ""#,
    env!("CARGO_PKG_VERSION"),
    r#"", "summary": "What chosen processes and this machine use: CPU, memory, network, disk, pressure (Linux)",
"modes": [{"name": "system", "description": "One look an interval", "parameters": {
    "type": "object", "additionalProperties": false, "properties": {
        "machine": {"type": "boolean", "default": true, "description": "Whether to observe the machine as a whole"},
        "processes": {"type": "array", "default": [], "description": "Processes to observe, each entry as one component",
            "items": {"type": "object", "additionalProperties": false, "required": ["component"],
                "oneOf": [{"required": ["pid"]}, {"required": ["pid_file"]},
                    {"anyOf": [{"required": ["name"]}, {"required": ["command"]}]}],
                "properties": {
                    "component": {"type": "string", "minLength": 1, "maxLength": 256,
                        "description": "The tag `component` of its samples, as in `postgres`"},
                    "pid": {"type": "integer", "minimum": 1, "description": "The process of this number"},
                    "pid_file": {"type": "string", "minLength": 1,
                        "description": "The process whose number this file holds, relative to the suite; read at each look"},
                    "name": {"type": "string", "minLength": 1,
                        "description": "Processes of this name, as `ps -o comm` shows it"},
                    "command": {"type": "string", "minLength": 1,
                        "description": "Processes whose command line has a match of this regular expression"},
                    "children": {"type": "boolean", "default": true,
                        "description": "Whether their descendants belong to them"}
                }}}
    }}}],
"metrics": [
    {"name": "component_cpu", "kind": "gauge", "unit": "none", "description": "cores that a component used"},
    {"name": "component_memory", "kind": "gauge", "unit": "bytes", "description": "memory that a component occupied (resident sets; what its processes share counts for each)"},
    {"name": "component_processes", "kind": "gauge", "unit": "none", "description": "processes of a component"},
    {"name": "component_disk_read", "kind": "counter", "unit": "bytes", "description": "bytes that a component read from disks"},
    {"name": "component_disk_written", "kind": "counter", "unit": "bytes", "description": "bytes that a component wrote to disks"},
    {"name": "component_network_received", "kind": "counter", "unit": "bytes", "description": "bytes that a component received, if it has a network namespace of its own"},
    {"name": "component_network_sent", "kind": "counter", "unit": "bytes", "description": "bytes that a component sent, if it has a network namespace of its own"},
    {"name": "system_cpu", "kind": "gauge", "unit": "ratio", "description": "share of all cores that were busy"},
    {"name": "system_load", "kind": "gauge", "unit": "none", "description": "tasks that ran or wanted to, averaged over a minute"},
    {"name": "system_memory_used", "kind": "gauge", "unit": "bytes", "description": "memory that could not be had without swapping"},
    {"name": "system_memory_available", "kind": "gauge", "unit": "bytes", "description": "memory that could be had without swapping"},
    {"name": "system_swap_used", "kind": "gauge", "unit": "bytes", "description": "swap in use"},
    {"name": "system_network_received", "kind": "counter", "unit": "bytes", "description": "bytes received, per `interface`"},
    {"name": "system_network_sent", "kind": "counter", "unit": "bytes", "description": "bytes sent, per `interface`"},
    {"name": "system_disk_read", "kind": "counter", "unit": "bytes", "description": "bytes read, per `disk`"},
    {"name": "system_disk_written", "kind": "counter", "unit": "bytes", "description": "bytes written, per `disk`"},
    {"name": "system_pressure", "kind": "gauge", "unit": "ratio", "description": "share of time in which some or all tasks were stalled (`stalled`) for want of cpu, memory or io (`resource`)"}
]}"#
);

#[derive(Debug, Deserialize)]
struct Parameters {
    machine: bool,
    processes: Vec<Wanted>,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    component: String,
    pid: Option<u32>,
    pid_file: Option<String>,
    name: Option<String>,
    command: Option<String>,
    children: bool,
}

impl Wanted {
    fn component(self, folder: &Path) -> Result<Component, Failure> {
        let choice = match (self.pid, self.pid_file) {
            (Some(pid), _) => Choice::Pid(pid),
            (_, Some(file)) => Choice::PidFile(folder.join(file)),
            _ => {
                let pattern = Pattern::new(self.name.as_deref(), self.command.as_deref());
                Choice::Matching(pattern.map_err(|error| Failure::Failed(format!("{}: {error}", self.component)))?)
            }
        };
        Ok(Component { name: self.component, choice, children: self.children })
    }
}

/// See the module.
pub(crate) struct System;

impl Kind for System {
    fn start(&self, collection: &Collection, observations: &mut Observations) -> Result<Box<dyn Collector>, Failure> {
        let wanted: Parameters =
            serde_json::from_str(&collection.parameters).map_err(|error| Failure::Failed(error.to_string()))?;
        let folder = Path::new(&collection.folder);
        let components =
            wanted.processes.into_iter().map(|wanted| wanted.component(folder)).collect::<Result<Vec<_>, _>>()?;
        let machine = wanted.machine.then(kperf_system::machine).transpose();
        let machine = machine.map_err(|error| Failure::Unavailable(error.0))?;
        if machine.as_ref().is_some_and(|machine| machine.pressure.is_none()) {
            observations.line(
                Level::Warn,
                "system_pressure is not available: this kernel has no pressure stall information".to_owned(),
            );
        }
        let unseen = components.iter().map(|component| component.name.clone()).collect();
        let observer = Observer::new(components).map_err(|error| Failure::Unavailable(error.0))?;
        Ok(Box::new(Looking { observer, unseen, machine: machine.map(|machine| (Instant::now(), machine)) }))
    }
}

struct Looking {
    observer: Observer,
    /// Components without a process so far.
    unseen: Vec<String>,
    machine: Option<(Instant, Machine)>,
}

impl Collector for Looking {
    fn collect(&mut self, observations: &mut Observations) -> Result<(), Failure> {
        let observed = self.observer.look().map_err(|error| Failure::Failed(error.0))?;
        for seen in observed {
            let tags = [("component", seen.component.as_str())];
            observations.now("component_processes", &tags, seen.processes as f64);
            // Nobody there is a gap, no zero.
            if seen.processes > 0 {
                self.unseen.retain(|name| *name != seen.component);
                observations.now("component_memory", &tags, seen.memory as f64);
            }
            if let Some(cpu) = seen.cpu.filter(|_| seen.processes > 0 && !seen.elapsed.is_zero()) {
                observations.now("component_cpu", &tags, cpu.as_secs_f64() / seen.elapsed.as_secs_f64());
            }
            let traffic = [("disk", ["read", "written"], seen.disk), ("network", ["received", "sent"], seen.network)];
            for (of, [inward, outward], traffic) in traffic {
                let Some(traffic) = traffic else { continue };
                observations.now(&format!("component_{of}_{inward}"), &tags, traffic.inward as f64);
                observations.now(&format!("component_{of}_{outward}"), &tags, traffic.outward as f64);
            }
        }
        if let Some((then, before)) = &self.machine {
            let now = kperf_system::machine().map_err(|error| Failure::Failed(error.0))?;
            machine(observations, before, &now, then.elapsed());
            self.machine = Some((Instant::now(), now));
        }
        Ok(())
    }

    fn finish(&mut self, _: u64, _: u64, observations: &mut Observations) -> Result<(), Failure> {
        self.collect(observations)?;
        if self.unseen.is_empty() {
            return Ok(());
        }
        let names = self.unseen.join("`, `");
        Err(Failure::Failed(format!("no process of the component `{names}` was seen: check how it is chosen")))
    }
}

fn machine(observations: &mut Observations, then: &Machine, now: &Machine, elapsed: Duration) {
    let share = |now: Duration, then: Duration, of: Duration| {
        let of = of.as_secs_f64();
        if of > 0.0 { (now.saturating_sub(then).as_secs_f64() / of).min(1.0) } else { 0.0 }
    };
    observations.now(
        "system_cpu",
        &[],
        share(now.cpu_busy, then.cpu_busy, now.cpu_total.saturating_sub(then.cpu_total)),
    );
    observations.now("system_load", &[], now.load);
    observations.now("system_memory_used", &[], now.memory_total.saturating_sub(now.memory_available) as f64);
    observations.now("system_memory_available", &[], now.memory_available as f64);
    observations.now("system_swap_used", &[], now.swap_used as f64);
    for (key, what, [inward, outward], now, then) in [
        ("interface", "network", ["received", "sent"], &now.network, &then.network),
        ("disk", "disk", ["read", "written"], &now.disks, &then.disks),
    ] {
        for (name, traffic) in now {
            let added = traffic.since(then.get(name).copied().unwrap_or(*traffic));
            observations.now(&format!("system_{what}_{inward}"), &[(key, name)], added.inward as f64);
            observations.now(&format!("system_{what}_{outward}"), &[(key, name)], added.outward as f64);
        }
    }
    let (Some(now), Some(then)) = (now.pressure, then.pressure) else { return };
    let resources = [("cpu", now.cpu, then.cpu), ("memory", now.memory, then.memory), ("io", now.io, then.io)];
    for (resource, now, then) in resources {
        for (stalled, now, then) in [("some", now.some, then.some), ("full", now.full, then.full)] {
            let tags = [("resource", resource), ("stalled", stalled)];
            observations.now("system_pressure", &tags, share(now, then, elapsed));
        }
    }
}
