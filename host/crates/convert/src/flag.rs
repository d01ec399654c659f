//! Booleans in environment variables. A language that asks only whether a text is empty takes `False` for true; here a word
//! means what it says.

const YES: [&str; 4] = ["true", "1", "yes", "on"];
const NO: [&str; 5] = ["false", "0", "no", "off", ""];

/// What a word says, whatever its case; None for a word that says neither.
pub(crate) fn read(word: &str) -> Option<bool> {
    let word = word.trim().to_ascii_lowercase();
    match (YES.contains(&word.as_str()), NO.contains(&word.as_str())) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        for yes in ["True", "true", "TRUE", "1", "yes", "on", " on "] {
            assert_eq!(read(yes), Some(true), "{yes}");
        }
        for no in ["False", "false", "0", "no", "off", "", "OFF"] {
            assert_eq!(read(no), Some(false), "{no}");
        }
        for neither in ["maybe", "2", "tru", "None"] {
            assert_eq!(read(neither), None, "{neither}");
        }
    }
}
