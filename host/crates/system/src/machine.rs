//! What is known of the machine and of this process at an instant.

use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes that went in (received, read) and out (sent, written) since the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Received or read.
    pub inward: u64,
    /// Sent or written.
    pub outward: u64,
}

impl Traffic {
    /// What was added since an earlier look; nothing where a counter began anew.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            inward: self.inward.saturating_sub(earlier.inward),
            outward: self.outward.saturating_sub(earlier.outward),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { inward: self.inward + other.inward, outward: self.outward + other.outward }
    }
}

/// How long tasks were stalled for want of something, since the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stalled {
    /// Time in which at least one task was.
    pub some: Duration,
    /// Time in which all tasks that had work were.
    pub full: Duration,
}

/// Pressure stall information (Linux 4.20).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Stalled for want of a CPU.
    pub cpu: Stalled,
    /// Stalled for want of memory.
    pub memory: Stalled,
    /// Stalled for want of input or output.
    pub io: Stalled,
}

/// The machine at an instant. What counts up does so since the machine started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// CPU time that was used, of all cores together.
    pub cpu_busy: Duration,
    /// CPU time that there was, of all cores together.
    pub cpu_total: Duration,
    /// Cores.
    pub cores: usize,
    /// The average number of tasks that ran or wanted to over the last minute.
    pub load: f64,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes of memory that could be had without swapping.
    pub memory_available: u64,
    /// Bytes of swap in use.
    pub swap_used: u64,
    /// Bytes that were read back from swap.
    pub swapped_in: u64,
    /// By network interface.
    pub network: BTreeMap<String, Traffic>,
    /// By disk; partitions are part of theirs.
    pub disks: BTreeMap<String, Traffic>,
    /// None where the kernel does not say.
    pub pressure: Option<Pressure>,
}

/// This process at an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Myself {
    /// CPU time that it has used.
    pub cpu: Duration,
    /// Bytes of memory that it occupies (resident set).
    pub memory: u64,
    /// Open files, sockets among them.
    pub open_files: u64,
}
