//! What kperf and its machine use while load is made: looked at once a second, always, so that a run can say whether it was
//! the generator that was slow.

use std::time::{Duration, Instant};

use kperf_metrics::{Builtin, Registry, SeriesId, SeriesLimit, Shard, Tags};
use kperf_system::{Machine, Myself, Traffic};

/// Tasks that were stalled for want of memory for this share of a second: the machine was short of it.
const STALLED: f64 = 0.1;
/// And so it was when it read back more than this from swap, in bytes per second.
const SWAPPED: f64 = 1_048_576.0;
/// A look that comes sooner says too little.
const SHORTEST: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Generator {
    cpu: SeriesId,
    machine_cpu: SeriesId,
    memory: SeriesId,
    memory_short: SeriesId,
    open_files: SeriesId,
    received: SeriesId,
    sent: SeriesId,
    /// None where the machine does not tell.
    last: Option<(Instant, Machine, Myself)>,
}

impl Generator {
    /// Looks from now on.
    ///
    /// # Errors
    /// If there are too many series.
    pub(crate) fn new(registry: &Registry) -> Result<Self, SeriesLimit> {
        let series = |metric: Builtin| registry.series(metric.into(), Tags::default());
        Ok(Self {
            cpu: series(Builtin::GeneratorCpu)?,
            machine_cpu: series(Builtin::GeneratorMachineCpu)?,
            memory: series(Builtin::GeneratorMemory)?,
            memory_short: series(Builtin::GeneratorMemoryShort)?,
            open_files: series(Builtin::GeneratorOpenFiles)?,
            received: series(Builtin::GeneratorNetworkReceived)?,
            sent: series(Builtin::GeneratorNetworkSent)?,
            last: now(),
        })
    }

    /// Records what was used since the last look.
    pub(crate) fn look(&mut self, shard: &mut Shard) {
        let Some((then, machine, myself)) = &self.last else { return };
        let elapsed = then.elapsed();
        if elapsed < SHORTEST {
            return;
        }
        let Some((at, machine_now, myself_now)) = now() else { return };
        let elapsed = at.saturating_duration_since(*then).as_secs_f64().max(1e-3);
        let busy = machine_now.cpu_busy.saturating_sub(machine.cpu_busy).as_secs_f64();
        let all = machine_now.cpu_total.saturating_sub(machine.cpu_total).as_secs_f64();
        shard.gauge(self.cpu, myself_now.cpu.saturating_sub(myself.cpu).as_secs_f64() / elapsed);
        if all > 0.0 {
            shard.gauge(self.machine_cpu, (busy / all).min(1.0));
        }
        shard.gauge(self.memory, myself_now.memory as f64);
        shard.gauge(self.open_files, myself_now.open_files as f64);
        shard.rate(self.memory_short, is_short(machine, &machine_now, elapsed));
        let traffic = outside(&machine_now).since(outside(machine));
        shard.count(self.received, traffic.inward as f64);
        shard.count(self.sent, traffic.outward as f64);
        self.last = Some((at, machine_now, myself_now));
    }
}

fn now() -> Option<(Instant, Machine, Myself)> {
    Some((Instant::now(), kperf_system::machine().ok()?, kperf_system::myself().ok()?))
}

fn is_short(then: &Machine, now: &Machine, elapsed: f64) -> bool {
    let stalled = now.pressure.zip(then.pressure).map(|(now, then)| now.memory.some.saturating_sub(then.memory.some));
    let swapped = now.swapped_in.saturating_sub(then.swapped_in) as f64;
    stalled.is_some_and(|stalled| stalled.as_secs_f64() >= STALLED * elapsed) || swapped >= SWAPPED * elapsed
}

/// What went over all interfaces but loopback.
fn outside(machine: &Machine) -> Traffic {
    let outside = machine.network.iter().filter(|(name, _)| *name != "lo");
    outside.map(|(_, traffic)| *traffic).fold(Traffic::default(), Traffic::plus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kperf_metrics::Delta;
    use kperf_system::{Pressure, Stalled};

    #[test]
    fn a_second_of_work_is_recorded() {
        let registry = Registry::default();
        let mut generator = Generator::new(&registry).unwrap();
        let mut shard = Shard::new(registry.clone(), 0);
        generator.look(&mut shard);
        assert!(shard.take(1).is_empty(), "too soon to say anything");
        std::thread::sleep(SHORTEST);
        generator.look(&mut shard);
        let interval = shard.take(2);
        if generator.last.is_none() {
            return assert!(interval.is_empty(), "not this system");
        }
        let Some(Delta::Gauge(memory)) = interval.get(generator.memory) else { panic!("{interval:?}") };
        assert!(memory.last > 1_048_576.0, "{memory:?}");
        let Some(Delta::Gauge(busy)) = interval.get(generator.machine_cpu) else { panic!("{interval:?}") };
        assert!((0.0..=1.0).contains(&busy.last), "{busy:?}");
        assert!(matches!(interval.get(generator.memory_short), Some(Delta::Rate(rate)) if rate.total == 1));
    }

    #[test]
    fn stalls_and_swapping_are_a_shortage() {
        let stalled = |ms| {
            let memory = Stalled { some: Duration::from_millis(ms), full: Duration::ZERO };
            Machine { pressure: Some(Pressure { memory, ..Pressure::default() }), ..Machine::default() }
        };
        assert!(!is_short(&stalled(500), &stalled(590), 1.0));
        assert!(is_short(&stalled(500), &stalled(600), 1.0));
        let swapped = |bytes| Machine { swapped_in: bytes, ..Machine::default() };
        assert!(!is_short(&swapped(5), &swapped(1_000_000), 1.0));
        assert!(is_short(&swapped(5), &swapped(2_000_000), 1.0));
        assert!(!is_short(&stalled(0), &swapped(0), 1.0), "what is not told is no shortage");
    }
}
