//! Names of scenarios, targets, credentials and the like: they appear in reports, tags and file names.

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name: start with a letter or a digit and go on with letters, digits, spaces or any of `._-=,[]`")]
pub(crate) struct NameError(String);

/// Longer names break tables and file systems.
const LONGEST: usize = 100;

/// Checks a name: `[A-Za-z0-9][A-Za-z0-9 ._\[\]=,-]*`, at most 100 characters.
///
/// # Errors
/// When the text has other characters or is too long.
pub(crate) fn check_name(text: &str) -> Result<(), NameError> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || " ._[]=,-".contains(c));
    if first && rest && text.len() <= LONGEST { Ok(()) } else { Err(NameError(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_what_matrix_expansion_makes_and_refuses_paths() {
        for name in ["runs", "9 lives", "runs [concurrency=10,ns=a]", "a.b_c-d"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", "-a", "../x", "a/b", "é", "a\n", "a{}"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"a".repeat(101)).is_err());
    }
}
