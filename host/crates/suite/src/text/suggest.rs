//! What a misspelt word was probably meant to be.

/// The one of `known` that `word` is closest to, if it is close enough to be a slip.
#[must_use]
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A help line for an unknown `word`: the closest known one, or else all of them.
#[must_use]
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match closest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("known here: {}", list(&known)),
    }
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_corrected_and_other_words_are_not() {
        let known = ["duration", "vus", "max_duration", "graceful_stop"];
        assert_eq!(closest("durration", known), Some("duration"));
        assert_eq!(closest("graceful-stop", known), Some("graceful_stop"));
        assert_eq!(closest("VUs", known), Some("vus"));
        assert_eq!(closest("target", known), None);
        assert_eq!(suggestion("x", ["alpha"]), "known here: `alpha`");
    }
}
