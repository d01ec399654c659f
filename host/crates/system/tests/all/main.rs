//! What is said of processes against what they have really used. The processes are this test's own program, started again.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kperf_system::{Choice, Component, Observed, Observer, Pattern};

const MIB: u64 = 1 << 20;
/// The kernel counts CPU time of processes in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time that this process has used.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Not a test: what the processes do, a line of standard input at a time: `burn MS` CPU time, `hold MIB` of memory, `child MS`
/// for a process of its own that burns and ends.
#[test]
#[ignore = "is no test but the processes that the others look at"]
fn obey() {
    if std::env::var_os("KPERF_OBEY").is_none() {
        return;
    }
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (verb, amount) = line.split_once(' ').unwrap();
        let amount: u64 = amount.parse().unwrap();
        match verb {
            "burn" => {
                let end = used() + Duration::from_millis(amount);
                while used() < end {
                    std::hint::spin_loop();
                }
            }
            "hold" => held.push(vec![1_u8; usize::try_from(amount * MIB).unwrap()]),
            "child" => {
                let mut child = Obedient::start();
                child.say(&format!("burn {amount}"));
                child.end();
            }
            other => panic!("{other}"),
        }
        // The harness keeps standard output for itself.
        writeln!(std::io::stderr(), "done").unwrap();
    }
    assert!(held.iter().all(|block| block.iter().all(|byte| *byte == 1)));
}

struct Obedient {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStderr>,
    _rest: Option<ChildStdout>,
}

impl Obedient {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "obey", "--nocapture"])
            .env("KPERF_OBEY", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), BufReader::new(process.stderr.take().unwrap()));
        let rest = process.stdout.take();
        Self { process, input, output, _rest: rest }
    }

    /// Has it do something, and waits until that is done.
    fn say(&mut self, what: &str) {
        writeln!(self.input.as_ref().unwrap(), "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    fn end(&mut self) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn observer(choice: Choice, children: bool) -> Observer {
    Observer::new(vec![Component { name: "it".to_owned(), choice, children }]).unwrap()
}

fn look(observer: &mut Observer) -> Observed {
    let mut observed = observer.look().unwrap();
    observed.pop().unwrap()
}

/// Held by tests that burn CPU time: all of them are children of one process.
static BURNING: Mutex<()> = Mutex::new(());

#[test]
fn cpu_and_memory_are_what_the_process_has_used() {
    let _alone = BURNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut process = Obedient::start();
    process.say("burn 0");
    let mut observer = observer(Choice::Pid(process.process.id()), true);
    let before = look(&mut observer);
    process.say("burn 700");
    let cpu = look(&mut observer).cpu.unwrap();
    assert!(cpu >= Duration::from_millis(700) - TICK && cpu < Duration::from_millis(900), "{cpu:?}");
    process.say("hold 96");
    let after = look(&mut observer);
    let grown = after.memory - before.memory;
    assert!((96 * MIB..104 * MIB).contains(&grown), "{grown}");
    assert_eq!((after.processes, after.network), (1, None));
    // Nothing is counted twice.
    assert!(look(&mut observer).cpu.unwrap() <= TICK);
    process.end();
    let gone = look(&mut observer);
    assert_eq!((gone.processes, gone.memory), (0, 0));
}

#[test]
fn children_count_whether_they_live_or_have_ended() {
    let _alone = BURNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut process = Obedient::start();
    process.say("burn 0");
    let pid = process.process.id();
    let (mut with, mut without) = (observer(Choice::Pid(pid), true), observer(Choice::Pid(pid), false));
    // One that came and went between two looks.
    process.say("child 400");
    let cpu = look(&mut with).cpu.unwrap();
    assert!(cpu >= Duration::from_millis(400) - TICK, "{cpu:?}");
    assert!(look(&mut without).cpu.unwrap() < Duration::from_millis(200), "its own part only");
    // This test is an ancestor of it, and is seen with a child that is half done: what was counted is not counted again.
    let mut family = observer(Choice::Pid(std::process::id()), true);
    process.say("burn 300");
    let first = look(&mut family).cpu.unwrap();
    assert!(first >= Duration::from_millis(300) - TICK, "{first:?}");
    process.end();
    let second = look(&mut family).cpu.unwrap();
    assert!(second < Duration::from_millis(300), "{second:?}");
}

#[test]
fn a_pattern_finds_others_and_never_this_process_itself() {
    let process = Obedient::start();
    let pattern = Pattern::new(None, Some("--exact obey --nocapture$")).unwrap();
    let mut found = observer(Choice::Matching(pattern), false);
    assert!(look(&mut found).processes >= 1);
    drop(process);
    // A command line that only this process has.
    let own = std::fs::read("/proc/self/cmdline").unwrap();
    let own = String::from_utf8(own).unwrap().trim_end_matches('\0').replace('\0', " ");
    let mut mine = observer(Choice::Matching(Pattern::new(None, Some(&format!("^{own}$"))).unwrap()), false);
    assert_eq!(look(&mut mine).processes, 0);
    let file = std::env::temp_dir().join(format!("kperf-{}.pid", std::process::id()));
    std::fs::write(&file, format!("{}\n", std::process::id())).unwrap();
    assert_eq!(look(&mut observer(Choice::PidFile(file.clone()), false)).processes, 1);
    std::fs::write(&file, "not a number").unwrap();
    assert_eq!(look(&mut observer(Choice::PidFile(file.clone()), false)).processes, 0);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_machine_and_this_process_tell_of_themselves() {
    let before = (kperf_system::machine().unwrap(), kperf_system::myself().unwrap());
    let end = used() + Duration::from_millis(200);
    while used() < end {
        std::hint::spin_loop();
    }
    let after = (kperf_system::machine().unwrap(), kperf_system::myself().unwrap());
    let (own, machine) = (after.1.cpu - before.1.cpu, after.0.cpu_busy - before.0.cpu_busy);
    assert!(own >= Duration::from_millis(200) - TICK, "{own:?}");
    // Each CPU is counted in ticks of its own.
    let ticks = TICK * u32::try_from(after.0.cores).unwrap();
    assert!(machine + ticks >= own && after.0.cpu_total - before.0.cpu_total + ticks >= machine, "{own:?} {machine:?}");
    assert!(after.0.memory_total > after.0.memory_available && after.0.memory_available > 0);
    assert!(after.1.memory > MIB && after.1.open_files >= 3, "{:?}", after.1);
    assert!(after.0.network.contains_key("lo"), "{:?}", after.0.network);
    if let Some(pressure) = after.0.pressure {
        assert!(pressure.memory.some >= pressure.memory.full);
    }
    assert!(kperf_system::waited().is_none_or(|waited| waited < Duration::from_secs(3_600)));
}
