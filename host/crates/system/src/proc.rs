//! The texts of `/proc`, read as what `proc(5)` says of them. What is not there or reads otherwise is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::machine::{Stalled, Traffic};

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own are.
const SECTOR: u64 = 512;

/// `/proc/stat`: busy and all ticks of all cores together, and how many cores there are.
pub(crate) fn cpu(text: &str) -> Option<(u64, u64, usize)> {
    let all = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guests are part of user.
    let ticks: Vec<u64> = all.split_whitespace().take(8).map_while(|number| number.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    let cores = text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    Some((total.saturating_sub(idle), total, cores))
}

/// A line `NAME: NUMBER kB` of `/proc/meminfo`, in bytes.
pub(crate) fn memory(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// A line `NAME NUMBER` of `/proc/vmstat`.
pub(crate) fn vmstat(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

/// `/proc/net/dev`: what went over each interface.
pub(crate) fn network(text: &str) -> BTreeMap<String, Traffic> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
        Some((name.trim().to_owned(), Traffic { inward: *numbers.first()?, outward: *numbers.get(8)? }))
    };
    text.lines().filter_map(interface).collect()
}

/// `/proc/diskstats`: what each block device read and wrote.
pub(crate) fn disks(text: &str) -> BTreeMap<String, Traffic> {
    let disk = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let bytes = |at: usize| fields.get(at)?.parse::<u64>().ok()?.checked_mul(SECTOR);
        Some(((*fields.get(2)?).to_owned(), Traffic { inward: bytes(5)?, outward: bytes(9)? }))
    };
    text.lines().filter_map(disk).collect()
}

/// A whole disk: partitions, and what is only memory or a file, are none.
pub(crate) fn is_disk(name: &str) -> bool {
    let virtually = ["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
    !virtually && Path::new("/sys/block").join(name.replace('/', "!")).exists()
}

/// A file of `/proc/pressure`.
pub(crate) fn stalled(text: &str) -> Option<Stalled> {
    let total = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        let total = line.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
        Some(Duration::from_micros(total.parse().ok()?))
    };
    // Kernels before 5.13 have no `full` for the CPU.
    Some(Stalled { some: total("some")?, full: total("full").unwrap_or_default() })
}

/// `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: u32,
    /// Ticks of its own, and of children that it has waited for.
    pub(crate) own: u64,
    pub(crate) reaped: u64,
    /// When it started, in ticks since the machine did.
    pub(crate) started: u64,
    /// Resident pages.
    pub(crate) resident: u64,
}

pub(crate) fn stat(text: &str) -> Option<Stat> {
    // The name is in parentheses and may hold any character, parentheses among them.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
    // Field 3 of proc(5), the state, is the first one here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        name: text.get(open + 1..close)?.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own: number(14)? + number(15)?,
        reaped: number(16)? + number(17)?,
        started: number(22)?,
        resident: number(24)?,
    })
}

/// `/proc/PID/io`: what went to and came from disks.
pub(crate) fn io(text: &str) -> Option<Traffic> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Traffic { inward: field("read_bytes:")?, outward: field("write_bytes:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_texts_are_read() {
        let text =
            "cpu  100 1 50 800 40 2 3 4 90 0\ncpu0 50 0 25 400 20 1 1 2 45 0\ncpu1 50 1 25 400 20 1 2 2 45 0\nintr 1\n";
        assert_eq!(cpu(text), Some((160, 1000, 2)));
        assert_eq!(cpu("intr 1\n"), None);
        let text = "MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    8192 kB\n";
        assert_eq!((memory(text, "MemAvailable"), memory(text, "Mem")), (Some(8 << 20), None));
        assert_eq!(vmstat("pswpin 7\npswpout 8\n", "pswpin"), Some(7));
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  eth0:30 1 0 0 0 0 0 0 40 1 0 0 0 0 0 0\n";
        let traffic = |inward, outward| Traffic { inward, outward };
        assert_eq!(network(text), [("eth0".to_owned(), traffic(30, 40)), ("lo".to_owned(), traffic(10, 20))].into());
        let text = "   8       0 sda 5 1 10 7 6 2 20 8 0 9 9\n";
        assert_eq!(disks(text), [("sda".to_owned(), traffic(10 * 512, 20 * 512))].into());
        let text =
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500\n";
        let stalls = Stalled { some: Duration::from_micros(1500), full: Duration::from_micros(500) };
        assert_eq!(stalled(text), Some(stalls));
        assert_eq!(stalled(""), None);
    }

    #[test]
    fn a_process_may_have_any_name() {
        let text =
            "42 (a) b (c)) S 7 42 42 0 -1 4194304 1 2 3 4 100 20 30 4 20 0 1 0 555 1000 66 18446744073709551615 1";
        let read = Stat { name: "a) b (c)".into(), parent: 7, own: 120, reaped: 34, started: 555, resident: 66 };
        assert_eq!(stat(text), Some(read));
        assert_eq!((stat(""), stat("42 (x) S")), (None, None));
        assert_eq!(io("rchar: 9\nread_bytes: 1\nwrite_bytes: 2\n"), Some(Traffic { inward: 1, outward: 2 }));
    }
}
