//! What a person sees, whole: the output of a run with what differs from run to run redacted.

use crate::support::{Kperf, Target};

/// Figures, times and identifiers as `#`, and columns closed up, so that only words, marks and order are left.
fn redacted(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    // What the generator used is known only of a run that takes a second.
    for line in text.lines().filter(|line| !line.starts_with("generator ")) {
        let mut words = Vec::new();
        for word in line.split_whitespace() {
            let inner = word.trim_end_matches([',', ';', ')']).trim_start_matches('(');
            let is_figure = inner.starts_with(|c: char| c.is_ascii_digit()) || inner == "-";
            let is_unit = matches!(inner, "µs" | "ms" | "s" | "min" | "%" | "B" | "KiB" | "MiB" | "GiB");
            match (is_figure, is_unit) {
                (true, _) => words.push(word.replace(inner, "#")),
                // A unit belongs to the figure before it.
                (false, true) if words.last().is_some_and(|last: &String| last.starts_with('#')) => {
                    let rest = word.replace(inner, "");
                    words.last_mut().unwrap().push_str(&rest);
                }
                _ => words.push(word.to_owned()),
            }
        }
        words.dedup_by(|a, b| a == "#" && b == "#");
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}

/// Compares with a file in `tests/data/output`; `KPERF_BLESS=1` writes it.
fn expect(name: &str, seen: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/output").join(name);
    if std::env::var_os("KPERF_BLESS").is_some() {
        std::fs::write(&path, seen).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(seen, expected, "{name}: KPERF_BLESS=1 writes what is seen");
}

#[test]
fn a_run_looks_as_expected() {
    let target = Target::start();
    let suite = format!(
        "name = 'look'\n[targets.t]\nurl = '{}'\n[[scenario]]\nname = 'browse'\nplugin = 'http-runner'\ntarget = 't'\n\
         thresholds = ['http_req_failed rate < 1%', 'http_reqs count > 1000', 'checks rate > 1%']\n\
         load = {{ executor = 'per-vu-iterations', vus = 2, iterations = 5 }}\n\
         [[scenario.params.requests]]\nname = 'get'\npath = '/'\n",
        target.url()
    );
    let kperf = Kperf::with(&suite);
    let ended = kperf.run();
    ended.code(3);
    expect("run.stdout", &redacted(&ended.stdout()));
    expect("run.stderr", &redacted(&ended.stderr().replace(&target.url(), "URL")));
    let plan = kperf.call(&["plan", "suite.toml"]);
    expect("plan.stdout", &redacted(&plan.code(0).stdout().replace(&target.url(), "URL")));
    let quiet = kperf.call(&["run", "suite.toml", "--out", "quiet", "--quiet"]);
    expect("quiet.stdout", &redacted(&quiet.code(3).stdout()));
    assert_eq!(quiet.stderr(), "", "nothing else is said");
}

#[test]
fn a_target_that_is_not_there_looks_as_expected() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let suite = format!(
        "name = 'look'\n[targets.t]\nurl = 'http://{address}'\n[[scenario]]\nname = 'browse'\nplugin = 'http-runner'\n\
         target = 't'\nload = {{ executor = 'per-vu-iterations', vus = 1, iterations = 1 }}\n\
         [[scenario.params.requests]]\nname = 'get'\npath = '/'\n"
    );
    let ended = Kperf::with(&suite).run();
    expect("not-ready.stdout", &redacted(&ended.code(6).stdout()));
    expect("not-ready.stderr", &redacted(&ended.stderr().replace(&address.to_string(), "ADDRESS")));
}
