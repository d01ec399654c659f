//! Keeps secrets out of everything that leaves the host: every form of a secret is masked, byte for byte, wherever it stands.
//!
//! In come the secrets of a run; out come texts and bytes of the same length with `*` in place of what was secret. Lengths stay, so that sizes
//! that were measured stay true, and a JSON text stays JSON: inside its strings a secret is escaped.
//!
//! All forms are looked for at once, in one pass (Aho-Corasick). A form is what servers, libraries and people make of a secret on its way:
//! base64 of a text that contains it, percent-encoding, and what escapes it in JSON, HTML, XML and debug output.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use parking_lot::RwLock;

use crate::environment::secret::Secret;

/// What stands for each byte of a secret.
const MASK: u8 = b'*';
/// What stands for each digit of a secret that has nothing else.
const DIGIT: u8 = b'1';

/// Shorter texts are not looked for: they would turn up in every second word, and hide nothing.
const SHORTEST: usize = 4;

/// Masks secrets. Cheap to clone; clones know the same secrets.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    /// None while there is nothing to look for.
    search: Option<Arc<AhoCorasick>>,
}

/// Knows every secret that this process has read.
static OF_PROCESS: LazyLock<Redactor> = LazyLock::new(Redactor::default);

impl Redactor {
    /// A redactor for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let redactor = Self::default();
        let secrets: Vec<&str> = secrets.into_iter().map(Secret::expose).collect();
        redactor.0.write().learn(secrets.iter().copied());
        OF_PROCESS.0.write().learn(secrets);
        redactor
    }

    /// The one that knows the secrets of all others, for what a process writes without knowing for which run: its log, its terminal.
    #[must_use]
    pub fn of_process() -> &'static Self {
        &OF_PROCESS
    }

    /// Knows one secret more from now on.
    pub fn learn(&self, secret: &Secret) {
        for redactor in [self, Self::of_process()] {
            redactor.0.write().learn([secret.expose()]);
        }
    }

    /// The text without secrets, as long as before.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.masked(text.as_bytes()) {
            None => Cow::Borrowed(text),
            // A mask covers whole characters: forms are texts.
            Some(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
        }
    }

    /// The bytes without secrets, as many as before.
    #[must_use]
    pub fn redact_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.masked(&bytes).unwrap_or(bytes)
    }

    /// The bytes without secrets; none if there is none in them.
    #[must_use]
    pub fn masked(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.search().and_then(|search| search.masked(bytes))
    }

    /// What looks for the secrets known now, for several texts in a row: threads share the lock that this takes. None if there are none.
    pub(crate) fn search(&self) -> Option<Search> {
        self.0.read().search.clone().map(Search)
    }
}

/// Looks for the secrets that a [`Redactor`] knew when it was asked.
pub(crate) struct Search(Arc<AhoCorasick>);

impl Search {
    /// As [`Redactor::masked`].
    pub(crate) fn masked(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut masked: Option<Vec<u8>> = None;
        for found in self.0.find_iter(bytes) {
            let masked = masked.get_or_insert_with(|| bytes.to_vec());
            if let Some(place) = masked.get_mut(found.range()) {
                // A number has to stay one: JSON knows no stars outside of strings.
                let mask = if place.iter().all(u8::is_ascii_digit) { DIGIT } else { MASK };
                place.fill(mask);
            }
        }
        masked
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} texts)", self.0.read().forms.len())
    }
}

impl Known {
    fn learn<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        for secret in secrets {
            self.forms.extend(forms(secret));
            // The password of `user:password` is a secret on its own.
            if let Some((_, password)) = secret.split_once(':') {
                self.forms.extend(forms(password));
            }
        }
        // The longest wins where one form begins like another, or its end would stay. Patterns this few can't be too many.
        self.search = (!self.forms.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.forms))
            .and_then(Result::ok)
            .map(Arc::new);
    }
}

/// Every form of a secret.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![secret.as_bytes().to_vec()];
    forms.extend(
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(secret).into_bytes()),
    );
    forms.extend(inside_base64(secret));
    let texts = [
        percent_encoded(secret, |byte| format!("%{byte:02X}")),
        percent_encoded(secret, |byte| format!("%{byte:02x}")),
        percent_encoded(secret, |byte| if byte == b' ' { "+".to_owned() } else { format!("%{byte:02X}") }),
        percent_encoded(secret, |byte| if byte == b' ' { "+".to_owned() } else { format!("%{byte:02x}") }),
        escaped(secret, json),
        escaped(secret, |c| if c == '/' { "\\/".to_owned() } else { json(c) }),
        escaped(secret, json_for_html),
        escaped(secret, json_in_ascii),
        escaped(secret, |c| html(c, "&quot;", "&#39;")),
        escaped(secret, |c| html(c, "&quot;", "&apos;")),
        escaped(secret, |c| html(c, "&quot;", "&#x27;")),
        escaped(secret, |c| html(c, "&#34;", "&#39;")),
        // Rust's debug format of a text escapes no single quote.
        escaped(secret, |c| if c == '\'' { c.to_string() } else { c.escape_debug().to_string() }),
    ];
    forms.extend(texts.map(String::into_bytes));
    forms
}

/// What base64 of a longer text has of a secret in it, at each of the three ways in which it can lie across groups of three bytes: the
/// digits that depend on nothing but the secret.
fn inside_base64(secret: &str) -> Vec<Vec<u8>> {
    let alphabets = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
    let at = |before: usize| {
        alphabets.iter().filter_map(move |engine| {
            let mut text = vec![0; before];
            text.extend_from_slice(secret.as_bytes());
            let digits = engine.encode(&text).into_bytes();
            // Six bits a digit: the first and the last may have bits of a neighbour.
            let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
            digits.get(first..last).filter(|digits| digits.len() >= SHORTEST).map(<[u8]>::to_vec)
        })
    };
    (0..3).flat_map(at).collect()
}

/// As in URLs: everything but what RFC 3986 calls unreserved is encoded.
fn percent_encoded(text: &str, encode: impl Fn(u8) -> String) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&encode(byte));
        }
        encoded
    })
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    text.chars().map(escape).collect()
}

/// A character inside a JSON string (RFC 8259, section 7).
fn json(c: char) -> String {
    match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}

/// As Go and others write it where it may end in a page.
fn json_for_html(c: char) -> String {
    if matches!(c, '<' | '>' | '&') { format!("\\u{:04x}", u32::from(c)) } else { json(c) }
}

/// As Python writes it: nothing but ASCII.
fn json_in_ascii(c: char) -> String {
    if c.is_ascii() {
        return json(c);
    }
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// A character in HTML or XML; quotes have several names.
fn html(c: char, double: &str, single: &str) -> String {
    match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => double.to_owned(),
        '\'' => single.to_owned(),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stars(text: &str) -> String {
        "*".repeat(text.len())
    }

    #[test]
    fn every_form_is_masked_and_lengths_stay() {
        let plain = "s3cr3t/t\"ok'e\\n<&>é en?";
        let redactor = Redactor::new([&Secret::new(plain)]);
        let forms = [
            plain.to_owned(),
            STANDARD.encode(plain),
            URL_SAFE_NO_PAD.encode(plain),
            "s3cr3t%2Ft%22ok%27e%5Cn%3C%26%3E%C3%A9%20en%3F".to_owned(),
            "s3cr3t%2ft%22ok%27e%5cn%3c%26%3e%c3%a9%20en%3f".to_owned(),
            "s3cr3t%2Ft%22ok%27e%5Cn%3C%26%3E%C3%A9+en%3F".to_owned(),
            serde_json::to_string(plain).unwrap().trim_matches('"').to_owned(),
            "s3cr3t\\/t\\\"ok'e\\\\n<&>é en?".to_owned(),
            "s3cr3t/t\\\"ok'e\\\\n\\u003c\\u0026\\u003eé en?".to_owned(),
            "s3cr3t/t\\\"ok'e\\\\n<&>\\u00e9 en?".to_owned(),
            "s3cr3t/t&quot;ok&#39;e\\n&lt;&amp;&gt;é en?".to_owned(),
            "s3cr3t/t&#34;ok&#39;e\\n&lt;&amp;&gt;é en?".to_owned(),
            "s3cr3t/t&quot;ok&apos;e\\n&lt;&amp;&gt;é en?".to_owned(),
            format!("{plain:?}").trim_matches('"').to_owned(),
        ];
        for form in forms {
            assert_eq!(redactor.redact(&format!("a {form} b")), format!("a {} b", stars(&form)), "{form}");
        }
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed("nothing")));
        assert_eq!(redactor.redact_bytes(vec![0xff, b'x']), [0xff, b'x']);
        assert_eq!(Redactor::default().redact("anything"), "anything");
    }

    #[test]
    fn numbers_stay_numbers() {
        let redactor = Redactor::new([&Secret::new("82937465")]);
        assert_eq!(redactor.redact(r#"{"pin":82937465}"#), r#"{"pin":11111111}"#);
    }

    #[test]
    fn parts_are_secrets_too() {
        let redactor = Redactor::new([&Secret::new("user:hunter22"), &Secret::new("abc")]);
        assert_eq!(redactor.redact("hunter22 of user, abc"), "******** of user, abc");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// However base64 takes the secret in, no four digits of it stay that are the secret's alone.
        #[test]
        fn base64_of_a_text_around_it(before in "[ -~]{0,5}", secret in "[ -~]{6,40}", after in "[ -~]{0,5}") {
            let secret = Secret::new(&secret);
            prop_assume!(secret.expose().len() >= 6);
            let redactor = Redactor::new([&secret]);
            let whole = format!("{before}{}{after}", secret.expose());
            for engine in [STANDARD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&whole);
                let masked = redactor.redact(&encoded);
                let (first, last) = ((before.len() * 8).div_ceil(6), (before.len() + secret.expose().len()) * 8 / 6);
                prop_assert_eq!(masked.len(), encoded.len());
                prop_assert!(masked.as_bytes()[first..last].iter().all(|digit| *digit == MASK), "{}: {}", encoded, masked);
            }
        }

        /// JSON stays JSON.
        #[test]
        fn json_stays_json(secret in "\\PC{4,20}", around in "\\PC{0,10}") {
            let secret = Secret::new(&secret);
            let text = serde_json::json!({ "a": format!("{around}{}{around}", secret.expose()), "b": [1, around] }).to_string();
            let masked = Redactor::new([&secret]).redact(&text).into_owned();
            prop_assert_eq!(masked.len(), text.len());
            if secret.expose().len() >= SHORTEST && !secret.expose().contains(['{', '}', '[', ']', '"', ',', ':', '\\']) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok(), "{}", masked);
            }
        }
    }
}
