//! What Slack's Block Kit allows in a message: the kinds of blocks that a report uses, with their published limits. Unknown keys
//! are refused, as Slack refuses them.

use serde_json::{Map, Value};

/// The most blocks of a message.
const BLOCKS: usize = 50;
/// The most characters of all blocks together. Not published; messages are refused from about here on.
const ALL: usize = 13_000;

/// Whether these blocks may be sent; the error is Slack's word for it.
pub(super) fn check(blocks: &Value) -> Result<(), &'static str> {
    let blocks = blocks.as_array().ok_or("invalid_blocks_format")?;
    if blocks.len() > BLOCKS || !blocks.iter().all(|block| block_is_good(block).is_some()) {
        return Err("invalid_blocks");
    }
    if blocks.iter().map(characters).sum::<usize>() > ALL {
        return Err("msg_blocks_too_long");
    }
    Ok(())
}

fn characters(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(object) => object.values().map(characters).sum(),
        _ => 0,
    }
}

fn block_is_good(block: &Value) -> Option<()> {
    let block = block.as_object()?;
    let known: &[&str] = match block.get("type")?.as_str()? {
        "header" => {
            text_is_good(block.get("text")?, 150, &["plain_text"])?;
            &["text"]
        }
        "section" => {
            if block.contains_key("text") || !block.contains_key("fields") {
                text_is_good(block.get("text")?, 3000, &["plain_text", "mrkdwn"])?;
            }
            if let Some(fields) = block.get("fields") {
                all(fields, 10, |field| text_is_good(field, 2000, &["plain_text", "mrkdwn"]))?;
            }
            &["text", "fields"]
        }
        "context" => {
            all(block.get("elements")?, 10, |text| text_is_good(text, 3000, &["plain_text", "mrkdwn"]))?;
            &["elements"]
        }
        "actions" => {
            all(block.get("elements")?, 25, button_is_good)?;
            &["elements"]
        }
        "divider" => &[],
        _ => return None,
    };
    if let Some(id) = block.get("block_id") {
        (1..=255).contains(&id.as_str()?.chars().count()).then_some(())?;
    }
    only(block, &[known, &["type", "block_id"]].concat())
}

fn button_is_good(button: &Value) -> Option<()> {
    let button = button.as_object()?;
    (button.get("type")? == "button").then_some(())?;
    text_is_good(button.get("text")?, 75, &["plain_text"])?;
    if let Some(url) = button.get("url") {
        let url = url.as_str()?;
        (url.chars().count() <= 3000 && url::Url::parse(url).is_ok()).then_some(())?;
    }
    only(button, &["type", "text", "url", "action_id", "value", "style"])
}

fn text_is_good(text: &Value, most: usize, kinds: &[&str]) -> Option<()> {
    let text = text.as_object()?;
    let kind = text.get("type")?.as_str()?;
    let length = text.get("text")?.as_str()?.chars().count();
    let known: &[&str] = if kind == "plain_text" { &["type", "text", "emoji"] } else { &["type", "text", "verbatim"] };
    (kinds.contains(&kind) && (1..=most).contains(&length)).then_some(())?;
    only(text, known)
}

fn all(list: &Value, most: usize, good: impl Fn(&Value) -> Option<()>) -> Option<()> {
    let list = list.as_array()?;
    ((1..=most).contains(&list.len()) && list.iter().all(|item| good(item).is_some())).then_some(())
}

fn only(object: &Map<String, Value>, known: &[&str]) -> Option<()> {
    object.keys().all(|key| known.contains(&key.as_str())).then_some(())
}
