//! Which processes belong to a component.

use std::path::PathBuf;

use regex::Regex;

/// How processes are chosen.
#[derive(Debug, Clone)]
pub enum Choice {
    /// The process with this number.
    Pid(u32),
    /// The process whose number a file holds; the file is read at each look, so that a restart is followed.
    PidFile(PathBuf),
    /// All that match. This process and its ancestors never do: the suite's own name is often on their command line.
    Matching(Pattern),
}

/// What a process must look like.
#[derive(Debug, Clone)]
pub struct Pattern {
    name: Option<String>,
    command: Option<Regex>,
}

/// A pattern can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It would choose every process.
    #[error("neither a name nor a command is given: it would choose every process")]
    Empty,
    /// The command is no regular expression.
    #[error("`command` is no regular expression: {0}")]
    Command(String),
}

impl Pattern {
    /// Processes with this `name` (as in `/proc/PID/comm`, or the file name of what runs) whose command line, arguments
    /// joined by spaces, has a match of the regular expression `command`.
    ///
    /// # Errors
    /// If both are missing, or `command` is no regular expression.
    pub fn new(name: Option<&str>, command: Option<&str>) -> Result<Self, PatternError> {
        if name.is_none() && command.is_none() {
            return Err(PatternError::Empty);
        }
        let command = command.map(Regex::new).transpose().map_err(|error| PatternError::Command(error.to_string()))?;
        Ok(Self { name: name.map(str::to_owned), command })
    }

    /// Whether a process matches; `arguments` is asked only where the answer depends on them.
    pub(crate) fn matches(&self, name: &str, arguments: impl Fn() -> Vec<String>) -> bool {
        let program = |arguments: &[String]| {
            let first = arguments.first().map_or("", String::as_str);
            first.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let named = self.name.as_ref().is_none_or(|wanted| {
            // The kernel cuts names to 15 bytes.
            wanted == name || (name.len() == 15 && wanted.starts_with(name) && program(&arguments()) == *wanted)
        });
        named && self.command.as_ref().is_none_or(|command| command.is_match(&arguments().join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_command_must_both_match() {
        let arguments =
            || vec!["/usr/bin/python3".to_owned(), "-m".to_owned(), "mlflow".to_owned(), "server".to_owned()];
        let matches = |name, command| Pattern::new(name, command).unwrap().matches("python3", arguments);
        assert!(matches(Some("python3"), None));
        assert!(matches(Some("python3"), Some("-m mlflow server$")));
        assert!(!matches(Some("python"), None), "a name is a whole name");
        assert!(!matches(Some("python3"), Some("gunicorn")));
        assert!(!matches(Some("postgres"), Some("mlflow")));
    }

    #[test]
    fn a_name_that_the_kernel_cut_is_known_by_its_file() {
        let arguments = || vec!["/opt/prometheus-node-exporter".to_owned()];
        let pattern = |name| Pattern::new(Some(name), None).unwrap();
        assert!(pattern("prometheus-node-exporter").matches("prometheus-node", arguments));
        assert!(pattern("prometheus-node").matches("prometheus-node", arguments));
        assert!(!pattern("prometheus-node-else").matches("prometheus-node", arguments));
    }

    #[test]
    fn what_chooses_nothing_in_particular_is_refused() {
        assert_eq!(Pattern::new(None, None).unwrap_err(), PatternError::Empty);
        assert!(matches!(Pattern::new(None, Some("(")).unwrap_err(), PatternError::Command(_)));
    }
}
