//! Names of what a scenario creates.

use kperf_plugin_sdk::Scenario;

/// What the names of everything that this scenario creates begin with: no other scenario's and no other run's do.
pub fn marker(scenario: &Scenario) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = scenario.name.chars().map(plain).take(40).collect();
    // Names that differ only in what was replaced or cut off stay apart.
    let sum =
        scenario.name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("kperf-{}-{name}-{sum:08x}", scenario.run)
}

/// A segment of a path or a value of a query: all but the unreserved characters percent-encoded (RFC 3986, section 2.3).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        marker(&Scenario {
            name: name.into(),
            mode: String::new(),
            parameters: "{}".into(),
            target: String::new(),
            run: "r1".into(),
            users: 1,
        })
    }

    #[test]
    fn markers_are_plain_and_differ() {
        let markers = [named("mix [n=1]"), named("mix [n-1]"), named("mix"), named(&"x".repeat(200))];
        for (index, marker) in markers.iter().enumerate() {
            assert!(marker.len() <= 100 && marker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{marker}");
            assert!(!markers[..index].contains(marker), "{marker}");
        }
    }

    #[test]
    fn what_is_not_plain_is_encoded() {
        assert_eq!(encode("a b/ü~1.json"), "a%20b%2F%C3%BC~1.json");
    }
}
