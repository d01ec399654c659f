//! Reads `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::machine::{Machine, Myself, Pressure, Traffic};
use crate::snapshot::{Process, Snapshot};
use crate::{Unavailable, proc};

fn ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second))
}

fn pages(pages: u64) -> u64 {
    pages.saturating_mul(rustix::param::page_size() as u64)
}

fn read(path: &str) -> Result<String, Unavailable> {
    fs::read_to_string(path).map_err(|error| Unavailable(format!("can't read {path}: {error}")))
}

fn unexpected(path: &str) -> Unavailable {
    Unavailable(format!("{path} does not say what it should"))
}

/// The machine now.
///
/// # Errors
/// If the machine does not tell what its CPUs and its memory do.
pub fn machine() -> Result<Machine, Unavailable> {
    let (busy, total, cores) = proc::cpu(&read("/proc/stat")?).ok_or_else(|| unexpected("/proc/stat"))?;
    let meminfo = read("/proc/meminfo")?;
    let memory = |name| proc::memory(&meminfo, name);
    let total_memory = memory("MemTotal").ok_or_else(|| unexpected("/proc/meminfo"))?;
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let disks = proc::disks(&text("/proc/diskstats"));
    Ok(Machine {
        cpu_busy: ticks(busy),
        cpu_total: ticks(total),
        cores,
        load: text("/proc/loadavg").split_whitespace().next().and_then(|one| one.parse().ok()).unwrap_or(0.0),
        memory_total: total_memory,
        memory_available: memory("MemAvailable").or_else(|| memory("MemFree")).unwrap_or(0),
        swap_used: memory("SwapTotal").unwrap_or(0).saturating_sub(memory("SwapFree").unwrap_or(0)),
        swapped_in: pages(proc::vmstat(&text("/proc/vmstat"), "pswpin").unwrap_or(0)),
        network: proc::network(&text("/proc/net/dev")),
        disks: disks.into_iter().filter(|(name, _)| proc::is_disk(name)).collect(),
        pressure: pressure(),
    })
}

fn pressure() -> Option<Pressure> {
    let stalled = |what: &str| proc::stalled(&fs::read_to_string(format!("/proc/pressure/{what}")).ok()?);
    Some(Pressure { cpu: stalled("cpu")?, memory: stalled("memory")?, io: stalled("io")? })
}

/// This process now.
///
/// # Errors
/// If the machine does not tell.
pub fn myself() -> Result<Myself, Unavailable> {
    let stat = proc::stat(&read("/proc/self/stat")?).ok_or_else(|| unexpected("/proc/self/stat"))?;
    let open_files = fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    // One of them is the folder itself.
    Ok(Myself { cpu: ticks(stat.own), memory: pages(stat.resident), open_files: open_files.saturating_sub(1) })
}

/// How long the calling thread was ready to run while the CPUs did other things, since it started. None where the kernel does
/// not keep it.
#[must_use]
pub fn waited() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// All processes now.
pub(crate) fn snapshot() -> Result<Snapshot, Unavailable> {
    let folders = fs::read_dir("/proc").map_err(|error| Unavailable(format!("can't read /proc: {error}")))?;
    // One that has just ended is none.
    let processes = folders.flatten().filter_map(|folder| {
        let pid: u32 = folder.file_name().to_str()?.parse().ok()?;
        // A name may be no UTF-8.
        let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
        let stat = proc::stat(&stat)?;
        let process = Process {
            parent: stat.parent,
            started: stat.started,
            own: ticks(stat.own),
            reaped: ticks(stat.reaped),
            memory: pages(stat.resident),
            name: stat.name,
        };
        Some((pid, process))
    });
    Ok(Snapshot { processes: processes.collect() })
}

/// The arguments of a process; none if it is gone or belongs to the kernel.
pub(crate) fn arguments_of(pid: u32) -> Vec<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// What a process has read from and written to disks; none if this may not be read.
pub(crate) fn disk_of(pid: u32) -> Option<Traffic> {
    proc::io(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

/// The network namespace of a process and what went over its interfaces but loopback; none if this may not be read.
pub(crate) fn network_of(pid: u32) -> Option<(u64, Traffic)> {
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    // `net:[4026531840]`
    let namespace = link.to_str()?.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    let interfaces: BTreeMap<String, Traffic> =
        proc::network(&fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?);
    let outside = interfaces.into_iter().filter(|(name, _)| name != "lo");
    Some((namespace, outside.map(|(_, traffic)| traffic).fold(Traffic::default(), Traffic::plus)))
}
