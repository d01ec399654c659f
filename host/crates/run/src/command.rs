//! A foreign program: run on this machine without a shell, within a time, with what it says in a file, and ended with everything that
//! it has started.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kperf_suite::DurationText;
use tokio::process::Child;

/// How long a program that was told to stop may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// A program and how it is to be run.
pub(crate) struct Command<'a> {
    /// What it is for, in messages: `before`, `after`.
    pub(crate) name: &'a str,
    /// The program and its arguments. A path is relative to `folder`.
    pub(crate) words: &'a [String],
    /// The folder that it runs in.
    pub(crate) folder: &'a Path,
    /// Variables beside those of this process.
    pub(crate) environment: Vec<(String, String)>,
    /// How long it may take.
    pub(crate) deadline: Duration,
    /// The file that gets what it says.
    pub(crate) log: PathBuf,
}

/// Why a program did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("the command `{name}` ({words}) can't be run: {source}; its path is relative to the suite")]
    Start { name: String, words: String, source: io::Error },
    #[error("the command `{name}` ({words}) did not end within {limit}; what it said is in {log}")]
    Deadline { name: String, words: String, limit: DurationText, log: String },
    #[error("the command `{name}` ({words}) was stopped")]
    Stopped { name: String, words: String },
    #[error("the command `{name}` ({words}) failed: {status}; what it said is in {log}")]
    Failed { name: String, words: String, status: ExitStatus, log: String },
    #[error("the command `{name}` ({words}) was lost: {source}; what it said is in {log}")]
    Lost { name: String, words: String, source: io::Error, log: String },
}

impl Command<'_> {
    /// Runs the program to its end, or until `stop` is there; one without words is none.
    ///
    /// # Errors
    /// Why it did not end well.
    pub(crate) async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), CommandError> {
        let Some((program, arguments)) = self.words.split_first() else { return Ok(()) };
        let (name, words, log) = (self.name.to_owned(), self.words.join(" "), self.log.display().to_string());
        let mut child = match self.start(program, arguments) {
            Ok(child) => child,
            Err(source) => return Err(CommandError::Start { name, words, source }),
        };
        tokio::select! {
            status = child.wait() => match status {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(CommandError::Failed { name, words, status, log }),
                Err(source) => Err(CommandError::Lost { name, words, source, log }),
            },
            () = tokio::time::sleep(self.deadline) => {
                end(&mut child).await;
                Err(CommandError::Deadline { name, words, limit: DurationText(self.deadline), log })
            }
            () = stop => {
                end(&mut child).await;
                Err(CommandError::Stopped { name, words })
            }
        }
    }

    fn start(&self, program: &str, arguments: &[String]) -> io::Result<Child> {
        let out = File::create(&self.log)?;
        let mut command = tokio::process::Command::new(self.program(program)?);
        command.args(arguments).current_dir(self.folder).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        // A group of its own, so that what it has started ends with it.
        #[cfg(unix)]
        command.process_group(0);
        command.spawn()
    }

    /// A path is relative to the folder, whatever the platform makes of a relative one.
    fn program(&self, program: &str) -> io::Result<PathBuf> {
        if program.contains(['/', '\\']) { self.folder.join(program).canonicalize() } else { Ok(program.into()) }
    }
}

/// Ends a program with everything that it has started: in order, and by force if that takes too long.
async fn end(child: &mut Child) {
    signal(child, false);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        signal(child, true);
        let _ = child.wait().await;
    }
}

#[cfg(unix)]
fn signal(child: &mut Child, force: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // A child that was waited for has no id any more.
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else { return };
    if let Err(error) = kill_process_group(pid, if force { Signal::KILL } else { Signal::TERM }) {
        tracing::debug!("can't stop the command: {error}");
    }
}

#[cfg(not(unix))]
fn signal(child: &mut Child, _force: bool) {
    if let Err(error) = child.start_kill() {
        tracing::debug!("can't stop the command: {error}");
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Runs a shell's line in a folder; gives what came of it, and what it said.
    fn run(line: &str, deadline: Duration, stop: impl Future<Output = ()>) -> (Result<(), CommandError>, String) {
        let folder = tempfile::tempdir().unwrap();
        let words = ["sh", "-c", line].map(str::to_owned);
        let command = Command {
            name: "before",
            words: &words,
            folder: folder.path(),
            environment: vec![("GREETING".to_owned(), "hello".to_owned())],
            deadline,
            log: folder.path().join("before.log"),
        };
        let result = crate::thread::runtime().unwrap().block_on(command.run(stop));
        (result, std::fs::read_to_string(folder.path().join("before.log")).unwrap_or_default())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_says_is_kept_and_its_failure_is_told() {
        let (result, said) = run("echo $GREETING; pwd; echo no >&2", LONG, std::future::pending());
        result.unwrap();
        assert!(said.starts_with("hello\n/") && said.ends_with("no\n"), "{said}");
        let (result, _) = run("exit 3", LONG, std::future::pending());
        let message = result.unwrap_err().to_string();
        assert!(
            message.starts_with("the command `before` (sh -c exit 3) failed: exit status: 3; what it said is in"),
            "{message}"
        );
    }

    #[test]
    fn a_program_ends_with_everything_that_it_has_started() {
        let started = Instant::now();
        // The shell is told to stop and waits for its child, which would sleep for long.
        let line = "trap 'echo stopped; exit' TERM; sleep 600 & echo $!; wait";
        let (result, said) = run(line, Duration::from_secs(1), std::future::pending());
        assert!(result.unwrap_err().to_string().contains("did not end within 1s"));
        assert!(said.ends_with("stopped\n") && started.elapsed() < GRACE, "{said}");
        let child = PathBuf::from("/proc").join(said.lines().next().unwrap());
        let state = || std::fs::read_to_string(child.join("stat")).ok().filter(|stat| !stat.contains(") Z "));
        let end = Instant::now() + Duration::from_secs(10);
        while state().is_some() && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(state(), None, "the child is gone");
        let (result, _) = run("sleep 600", LONG, std::future::ready(()));
        assert!(result.unwrap_err().to_string().ends_with("was stopped"));
    }

    #[test]
    fn what_is_no_program_says_where_paths_begin() {
        let folder = tempfile::tempdir().unwrap();
        let words = ["./no-such".to_owned()];
        let (name, environment, log) = ("after", Vec::new(), folder.path().join("after.log"));
        let command = Command { name, words: &words, folder: folder.path(), environment, deadline: LONG, log };
        let result = crate::thread::runtime().unwrap().block_on(command.run(std::future::pending()));
        assert!(result.unwrap_err().to_string().ends_with("its path is relative to the suite"));
    }
}
