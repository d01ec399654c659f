//! What can be told of a pipeline's file before it is uploaded.

/// Says what is wrong with a compiled pipeline, if that can be seen without reading all of YAML. Archives pass.
pub fn problem(content: &[u8]) -> Option<String> {
    if content.is_empty() {
        return Some("the file is empty: compile the pipeline into it".into());
    }
    if content.starts_with(b"PK") || content.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    let Ok(text) = std::str::from_utf8(content) else {
        return Some("the file is neither text nor an archive".into());
    };
    if text.contains("argoproj.io/") && has_key(text, "apiVersion") {
        return Some("this is an Argo workflow (KFP v1): compile the pipeline with KFP 2".into());
    }
    let missing: Vec<&str> =
        ["pipelineInfo", "root", "schemaVersion"].into_iter().filter(|key| !has_key(text, key)).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!("the file has no {}: it is not a pipeline that KFP 2 has compiled", missing.join(", ")))
}

/// Whether a top-level key is there, in YAML or in JSON.
fn has_key(text: &str, key: &str) -> bool {
    text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':')))
        || text.contains(&format!("\"{key}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_compiled_pipelines() {
        assert_eq!(problem(b"pipelineInfo: {name: a}\nschemaVersion: 2.1.0\nroot:\n  dag: {}\n"), None);
        assert_eq!(problem(br#"{"pipelineInfo":{},"schemaVersion":"2.1.0","root":{}}"#), None);
        assert_eq!(problem(b"PK\x03\x04"), None);
    }

    #[test]
    fn says_what_is_wrong_with_others() {
        assert!(problem(b"").unwrap().contains("empty"));
        assert!(problem(b"\xff\xfe").unwrap().contains("neither"));
        assert!(problem(b"apiVersion: argoproj.io/v1alpha1\n").unwrap().contains("Argo"));
        assert!(problem(b"pipelineInfo: {}\n  root:\n").unwrap().contains("no root, schemaVersion"));
    }
}
