//! Block Kit, within its limits: texts are escaped, cut where they are too long, and never empty.

use serde_json::{Value, json};

/// The most characters of a header, in Slack's count.
const HEADER: usize = 150;
/// The most characters of a section. Slack allows 3,000; all blocks together have to stay below about 13,000.
const SECTION: usize = 2_800;
/// The most characters of one line, before it is escaped.
const LINE: usize = 400;

/// A heading.
pub fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": cut(text, HEADER), "emoji": true}})
}

/// Lines of Slack's own markup, already escaped; as many as fit, and how many more there are.
pub fn section(lines: &[String]) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": fit(lines)}})
}

/// A line in small letters.
pub fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": fit(&[text.to_owned()])}]})
}

/// A button that opens a page.
pub fn button(text: &str, url: &str) -> Value {
    let text = json!({"type": "plain_text", "text": cut(text, 75)});
    json!({"type": "actions", "elements": [{"type": "button", "text": text, "url": url, "action_id": "open"}]})
}

fn fit(lines: &[String]) -> String {
    let mut text = String::new();
    let mut left = SECTION;
    for (at, line) in lines.iter().enumerate() {
        let length = line.chars().count() + 1;
        // The last line says how many are missing.
        if length + 40 > left {
            text.push_str(&format!("… and {} more", lines.len() - at));
            break;
        }
        left -= length;
        text.push_str(line);
        text.push('\n');
    }
    let text = text.trim_end();
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// Text from outside on one line, without a meaning for Slack.
pub fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&line, LINE).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text from outside as code.
pub fn code(text: &str) -> String {
    format!("`{}`", plain(&text.replace('`', "'")))
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_means_nothing_to_slack() {
        assert_eq!(plain("a <!channel> & b\nc"), "a &lt;!channel&gt; &amp; b c");
        assert_eq!(code("x `y`"), "`x 'y'`");
        assert_eq!(plain(""), "–");
    }

    #[test]
    fn texts_are_cut_to_what_is_allowed() {
        assert_eq!(header(&"é".repeat(200))["text"]["text"].as_str().unwrap().chars().count(), 150);
        let lines = vec!["<".repeat(100).replace('<', "&lt;"); 50];
        let section = section(&lines);
        let text = section["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= 3000, "{}", text.len());
        assert!(text.ends_with("… and 44 more"), "{text}");
    }
}
