//! Secrets that stand in a suite, which is committed, copied into the run's folder and shown to colleagues.
//!
//! Only what can't be anything else is looked for: the tokens of chats, and webhooks whose URL is the secret.

use std::borrow::Cow;

use url::Url;

use super::source::{Origin, Sources, Span};

/// The prefixes of Slack's tokens.
const TOKENS: [&str; 6] = ["xoxb-", "xoxp-", "xoxa-", "xoxe-", "xoxs-", "xapp-"];
/// The fewest bytes behind such a prefix; less is a word about tokens.
const SHORTEST: usize = 8;

/// What to do about a URL that is a secret.
pub(crate) const URL_HELP: &str = "whoever has this URL can post: put it into an environment variable, and write `url_from = \"NAME\"` with \
     `[credentials.NAME]`";

/// The prefix of the URLs that are secrets.
const WEBHOOK: &str = "https://hooks.slack.com/";

/// Headers that carry secrets.
const HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Whether the URL itself is a secret.
pub(crate) fn is_secret(url: &Url) -> bool {
    let hooks = url.host_str() == Some("hooks.slack.com");
    hooks && url.path().split('/').filter(|part| !part.is_empty()).count() > 1
}

/// Whether a header of every request would be a secret.
pub(crate) fn carries_secret(header: &str) -> bool {
    HEADERS.iter().any(|known| header.eq_ignore_ascii_case(known))
}

/// The places of tokens, comments included.
pub(crate) fn tokens(sources: &Sources) -> Vec<Span> {
    let of = |origin| {
        let text = sources.text_of(origin);
        TOKENS.iter().flat_map(move |token| places(text, token)).map(move |(start, end)| Span::new(origin, start..end))
    };
    [Origin::File, Origin::Sets].into_iter().flat_map(of).collect()
}

/// A suite's text as it may be shown: what is a secret in it is covered, byte by byte, so that places stay where they are.
pub(crate) fn covered(text: &str) -> Cow<'_, str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let webhooks = text.match_indices(WEBHOOK).map(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        (at + WEBHOOK.len(), at + rest.find(ends).unwrap_or(rest.len()))
    });
    let tokens =
        TOKENS.iter().flat_map(|token| places(text, token).into_iter().map(|(at, end)| (at + token.len(), end)));
    let mut shown = Cow::Borrowed(text);
    for (start, end) in tokens.chain(webhooks) {
        shown.to_mut().replace_range(start..end, &"*".repeat(end - start));
    }
    shown
}

/// Where tokens with this beginning stand.
fn places(text: &str, beginning: &str) -> Vec<(usize, usize)> {
    let found = text.match_indices(beginning).filter_map(|(start, _)| {
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let before = text.as_bytes().get(start.wrapping_sub(1));
        let length = text.as_bytes().iter().skip(start).take_while(|byte| inside(byte)).count();
        let whole = before.is_none_or(|byte| !inside(byte)) && length >= beginning.len() + SHORTEST;
        whole.then_some((start, start + length))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tokens_are_secrets() {
        let found = |text| places(text, "xoxb-").len();
        assert_eq!(found("token = \"xoxb-123456789012-abcdef\" # xoxb-..."), 1);
        assert_eq!(found("the token begins with xoxb-, foxoxb-123456789"), 0);
    }

    #[test]
    fn secrets_are_covered_where_they_stand() {
        let text = "a = 'xoxb-12345678' # é https://hooks.slack.com/services/T/B/x?é=1 https://example.com";
        let shown = covered(text);
        assert!(shown.starts_with("a = 'xoxb-********' # é https://hooks.slack.com/****"), "{shown}");
        assert!(shown.ends_with("* https://example.com") && shown.len() == text.len(), "{shown}");
        assert!(matches!(covered("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_webhook_is_a_secret_and_its_server_is_not() {
        let secret = |url: &str| is_secret(&url.parse().unwrap());
        assert!(secret("https://hooks.slack.com/services/T0/B0/x"));
        assert!(!secret("https://hooks.slack.com"));
        assert!(!secret("https://hooks.example.com/services/T0/B0/x"));
    }
}
