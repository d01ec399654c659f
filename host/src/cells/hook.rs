//! Commands around a cell: run on this machine as the suite writes them, without a shell, within a time, with what they say in
//! a file of the cell's folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::PlannedCell;
use crate::run::Interrupts;

/// How often a command is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long a command that was told to stop may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// What the commands of a cell are given.
pub(super) struct Hooks<'a> {
    pub(super) cell: &'a PlannedCell,
    /// How often the matrix is gone through.
    pub(super) rounds: u32,
    /// The cell's folder.
    pub(super) folder: &'a Path,
    /// The folder that the commands run in.
    pub(super) suite_folder: &'a Path,
    pub(super) timeout: Duration,
    pub(super) interrupts: &'a Interrupts,
}

impl Hooks<'_> {
    /// Runs a command to its end; an empty one is none. `when` is `before` or `after`: the first ends when the user wants to
    /// stop, the second, which may have to put things in order, only when the user wants to leave at once.
    ///
    /// # Errors
    /// Why it did not end well.
    pub(super) async fn run(&self, when: &str, command: &[String]) -> Result<(), String> {
        let Some((program, arguments)) = command.split_first() else { return Ok(()) };
        let named = format!("the command `{when}` ({})", command.join(" "));
        let log = self.folder.join(format!("{when}.log"));
        let seen = format!("; what it said is in {}", log.display());
        let mut child = self
            .start(program, arguments, &log)
            .map_err(|error| format!("{named} can't be run: {error}; its path is relative to the suite"))?;
        let asked =
            async { if when == "before" { self.interrupts.once().await } else { self.interrupts.twice().await } };
        let status = tokio::select! {
            status = ended(&mut child) => status,
            () = tokio::time::sleep(self.timeout) => {
                stop(&mut child).await;
                let limit = kperf_suite::DurationText(self.timeout);
                return Err(format!("{named} did not end within {limit}{seen}"));
            }
            () = asked => {
                stop(&mut child).await;
                return Err(format!("{named} was stopped"));
            }
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{named} failed: {status}{seen}")),
            Err(error) => Err(format!("{named} was lost: {error}{seen}")),
        }
    }

    fn start(&self, program: &str, arguments: &[String], log: &Path) -> std::io::Result<Child> {
        let out = File::create(log)?;
        let mut command = Command::new(self.program(program)?);
        command.args(arguments).current_dir(self.suite_folder);
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        command.envs(self.variables());
        // A group of its own, so that what it has started ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }

    /// A path is relative to the suite, whatever the platform makes of a relative one.
    fn program(&self, program: &str) -> std::io::Result<PathBuf> {
        if program.contains(['/', '\\']) { self.suite_folder.join(program).canonicalize() } else { Ok(program.into()) }
    }

    fn variables(&self) -> Vec<(String, String)> {
        let info = &self.cell.info;
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.to_owned());
        let own = [
            ("NUMBER", info.number.to_string()),
            ("REPEAT", info.repeat.to_string()),
            ("ROUNDS", self.rounds.to_string()),
            ("LABEL", self.cell.label.clone()),
            ("FOLDER", folder.display().to_string()),
        ];
        let axes = info.values.iter().map(|(axis, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("KPERF_CELL_AXIS_{}", axis.to_ascii_uppercase().replace('-', "_")), value)
        });
        own.into_iter().map(|(name, value)| (format!("KPERF_CELL_{name}"), value)).chain(axes).collect()
    }
}

async fn ended(child: &mut Child) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends a command with everything that it has started: in order, and by force if that takes too long.
async fn stop(child: &mut Child) {
    signal(child, false);
    if tokio::time::timeout(GRACE, ended(child)).await.is_err() {
        signal(child, true);
        let _ = ended(child).await;
    }
}

#[cfg(unix)]
fn signal(child: &mut Child, force: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if force { Signal::KILL } else { Signal::TERM };
    if let Err(error) = kill_process_group(Pid::from_child(child), signal) {
        tracing::debug!("can't stop the command: {error}");
    }
}

#[cfg(not(unix))]
fn signal(child: &mut Child, _force: bool) {
    if let Err(error) = child.kill() {
        tracing::debug!("can't stop the command: {error}");
    }
}
