//! `run.json`: which run this is, of what, on what, and how far it came.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::replace::replace;
use crate::{CellInfo, RunFolder};

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It goes on, or it was killed and nobody has made the report since.
    Running,
    /// It came to its end.
    Complete,
    /// It was stopped or killed.
    Interrupted,
}

/// A plugin that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginInfo {
    /// Its name, as it describes itself.
    pub name: String,
    /// Its version, as it describes itself.
    pub version: String,
    /// The digest of its component or library: `sha256:` and 64 hexadecimal digits. Empty for a native plugin that is part of
    /// kperf itself.
    pub digest: String,
    /// Where it came from: `built-in`, or the path in the suite.
    pub source: String,
}

/// The machine that made the load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The machine's host name.
    pub hostname: String,
    /// The model of its CPU.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// The kernel and its version.
    pub kernel: String,
}

impl Machine {
    /// Looks at the machine that this runs on. What it does not tell stays empty.
    pub fn detect() -> Self {
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal").replace(" kB", "").parse().unwrap_or(0_u64);
        Self {
            hostname: read("/proc/sys/kernel/hostname"),
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kilobytes * 1024,
            kernel: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease")).trim().to_owned(),
        }
    }
}

/// The identity of a run: the content of `run.json`, and the first line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// The run's identifier.
    pub id: String,
    /// The suite's name.
    pub suite: String,
    /// The digest of the suite's text: `sha256:` and 64 hexadecimal digits.
    pub suite_digest: String,
    /// The suite's environment that was chosen.
    pub environment: Option<String>,
    /// The suite's values that the command line replaced (`--set`), one each.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// The folder that paths in the suite are relative to.
    #[serde(default)]
    pub suite_folder: String,
    /// The cell of a matrix that this run is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellInfo>,
    /// The plugins that take part.
    pub plugins: Vec<PluginInfo>,
    /// The version of kperf.
    pub host_version: String,
    /// The commit that the suite's folder was at, if it is in a git work tree.
    pub git_commit: Option<String>,
    /// The machine that made the load.
    pub machine: Machine,
    /// When the run began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// When the run began (RFC 3339, UTC).
    pub start: String,
    /// When the run ended (RFC 3339, UTC); for a killed run, up to when there is data.
    pub end: Option<String>,
    /// How far it came.
    pub status: Status,
    /// What plugins know about the system under test, by scenario or collector.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, BTreeMap<String, String>>,
}

impl RunInfo {
    /// Writes `run.json` into the run's folder.
    pub(crate) fn write(&self, folder: &RunFolder) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        replace(&folder.run_info(), |mut file| writeln!(file, "{text}"))
    }
}

/// An instant for people and programs (RFC 3339, UTC, milliseconds).
pub fn instant(unix_ns: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(unix_ns)).to_string()
}

/// The digest of a content: `sha256:` and 64 hexadecimal digits.
pub fn digest_of(content: &[u8]) -> String {
    let digits = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}

/// The commit that a folder's git work tree is at, read from git's own files; none outside a work tree.
pub fn commit_of(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let git = folder.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let read = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    // In a linked work tree `.git` is a file that says where its folder is, and that folder says where the refs are.
    let git = match read(&git) {
        Some(link) => git.parent()?.join(link.strip_prefix("gitdir:")?.trim()),
        None => git,
    };
    let head = read(&git.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return Some(head) };
    let shared = read(&git.join("commondir")).map_or_else(|| git.clone(), |path| git.join(path));
    [&git, &shared].into_iter().find_map(|folder| read(&folder.join(name))).or_else(|| {
        let packed = read(&shared.join("packed-refs"))?;
        let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, of)| of == name))?;
        line.split_once(' ').map(|(commit, _)| commit.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_found_from_a_folder_inside_the_work_tree() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        let inside = dir.path().join("scenarios/deep");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::create_dir_all(&inside).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(git.join("packed-refs"), "# pack-refs\n1111 refs/heads/other\n2222 refs/heads/main\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("2222"));
        fs::write(git.join("refs/heads/main"), "3333\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("3333"));
        fs::write(git.join("HEAD"), "4444\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("4444"));
    }

    #[test]
    fn a_linked_work_tree_leads_to_the_shared_refs() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join("main/.git");
        let linked = git.join("worktrees/linked");
        let tree = dir.path().join("linked");
        for folder in [&git.join("refs/heads"), &linked, &tree] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(git.join("refs/heads/topic"), "5555\n").unwrap();
        fs::write(linked.join("HEAD"), "ref: refs/heads/topic\n").unwrap();
        fs::write(linked.join("commondir"), "../..\n").unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", linked.display())).unwrap();
        assert_eq!(commit_of(&tree).as_deref(), Some("5555"));
    }

    #[test]
    fn digests_and_instants_have_their_usual_form() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(b""), empty);
        assert_eq!(instant(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123Z");
    }
}
