//! No text makes the loader or the renderer panic.

use kperf_suite::{LoadOptions, Source, load};

const FULL: &str = include_str!("../valid/full.toml");
const MATRIX: &str = include_str!("../valid/matrix.toml");

fn survives(text: &str, sets: &[String]) {
    let lookup = |name: &str| (name.len() == 1).then(|| "${1}s".to_owned());
    for environment in [None, Some("staging")] {
        let options = LoadOptions { environment, sets, lookup: &lookup };
        if let Err(wrong) = load(Source { name: "any.toml", text }, &options) {
            assert!(!wrong.is_empty(), "refused without a reason:\n{text}");
            assert!(!wrong.render(false).is_empty());
        }
    }
}

#[test]
fn truncated_anywhere() {
    for end in (0..=FULL.len()).filter(|end| FULL.is_char_boundary(*end)) {
        survives(&FULL[..end], &[]);
    }
}

#[test]
fn with_bytes_changed() {
    // A linear congruential generator (Knuth's MMIX constants): the same changes in every run.
    let mut state = 42u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let alphabet = "\"'[]{}=.,#$\n \\-0a${é\u{0}\t";
    let symbols: Vec<char> = alphabet.chars().collect();
    for round in 0..2_000 {
        let mut text: Vec<char> = if round % 2 == 0 { FULL } else { MATRIX }.chars().collect();
        for _ in 0..=next(4) {
            let at = next(text.len());
            match next(3) {
                0 => text[at] = symbols[next(symbols.len())],
                1 => text.insert(at, symbols[next(symbols.len())]),
                _ => drop(text.remove(at)),
            }
        }
        let start = next(text.len());
        let set: String = text[start..].iter().take(next(40)).collect();
        let text: String = text.into_iter().collect();
        survives(&text, &[set]);
    }
}
