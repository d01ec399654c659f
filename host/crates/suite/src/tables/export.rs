//! `[export]`: where series go while the run goes on, beside the run's folder.

use std::{collections::BTreeMap, net::SocketAddr};

use super::plugin_use::{Known, SIMULATED_TARGET};
use crate::{
    keys::{KeySpec, Kind, Need, Reader, Section, TableSpec},
    text::{Located, Node, suggest},
};

/// Where series are exported to while the run goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Labels of every series.
    pub labels: BTreeMap<String, String>,
    /// The page that Prometheus scrapes; None for no page.
    pub prometheus: Option<Listen>,
    /// A server that takes Prometheus' remote write.
    pub remote_write: Option<Push>,
    /// A server that takes OTLP over HTTP.
    pub otlp: Option<Push>,
}

/// An address that kperf listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// IP address and port to listen on.
    pub address: Located<SocketAddr>,
}

/// A server that series are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// One of the suite's targets; it exists and is not the simulated server.
    pub target: Located<String>,
    /// The path below the target's URL; begins with `/`.
    pub path: String,
}

pub(crate) const EXPORT: TableSpec = TableSpec {
    title: "[export]",
    doc: "Where the run's series go while it goes on, beside its folder.",
    keys: &[
        KeySpec::new(
            "labels",
            Kind::TextMap,
            Need::Absent("none"),
            "Labels of every series, beside `suite` and `run`; keys are `[a-z_][a-z0-9_]*`.",
        ),
        KeySpec::new(
            "prometheus",
            Kind::Table(&PROMETHEUS),
            Need::Absent("nobody can"),
            "Prometheus may fetch the series.",
        ),
        KeySpec::new(
            "remote_write",
            Kind::Table(&REMOTE_WRITE),
            Need::Absent("nothing is sent"),
            "Each second is sent to a Prometheus, or to whatever else takes remote write.",
        ),
        KeySpec::new(
            "otlp",
            Kind::Table(&OTLP),
            Need::Absent("nothing is sent"),
            "Each second is sent to an OpenTelemetry collector.",
        ),
    ],
};

const PROMETHEUS: TableSpec = TableSpec {
    title: "[export.prometheus]",
    doc: "`/metrics`, while the run goes on.",
    keys: &[KeySpec::new(
        "listen",
        Kind::Text,
        Need::Default("127.0.0.1:9464"),
        "The address and port to listen on; `--metrics-listen` takes its place.",
    )],
};

const TARGET_KEY: KeySpec = KeySpec::new(
    "target",
    Kind::Text,
    Need::Required,
    "A name of `[targets]`: the server's URL, with its credential, headers and certificates.",
);

const REMOTE_WRITE: TableSpec = TableSpec {
    title: "[export.remote_write]",
    doc: "A server that takes Prometheus' remote write 1.0. Prometheus itself does with `--web.enable-remote-write-receiver`.",
    keys: &[
        TARGET_KEY,
        KeySpec::new("path", Kind::Text, Need::Default("/api/v1/write"), "The path below the target's URL."),
    ],
};

const OTLP: TableSpec = TableSpec {
    title: "[export.otlp]",
    doc: "A server that takes OTLP metrics over HTTP, as Protobuf.",
    keys: &[
        TARGET_KEY,
        KeySpec::new("path", Kind::Text, Need::Default("/v1/metrics"), "The path below the target's URL."),
    ],
};

/// Labels that kperf or Prometheus sets.
const RESERVED: [&str; 6] = ["suite", "run", "job", "instance", "le", "quantile"];

pub(crate) fn read_export(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<Export> {
    let section = reader.section(&EXPORT, node)?;
    let labels = reader.text_map(&section, "labels", |key| {
        let good = key
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit()));
        if key.is_empty() || !good || key.starts_with("__") {
            Err(format!("`{key}` is no label: keys match `[a-z_][a-z0-9_]*`, and those with `__` are Prometheus' own"))
        } else if RESERVED.contains(&key) {
            Err(format!("the label `{key}` is set by kperf or Prometheus"))
        } else {
            Ok(())
        }
    });
    let table = |reader: &mut Reader<'_>, name| reader.find(&section, name).0;
    let prometheus = table(reader, "prometheus");
    let remote_write = table(reader, "remote_write");
    let otlp = table(reader, "otlp");
    Some(Export {
        labels,
        prometheus: prometheus.and_then(|node| read_listen(reader, node)),
        remote_write: remote_write.and_then(|node| read_push(reader, &REMOTE_WRITE, node, known)),
        otlp: otlp.and_then(|node| read_push(reader, &OTLP, node, known)),
    })
}

fn read_listen(reader: &mut Reader<'_>, node: &Node) -> Option<Listen> {
    let section = reader.section(&PROMETHEUS, node)?;
    let text: String = reader.optional(&section, "listen")?;
    let span = section.table.get("listen").map_or(section.span, |node| node.span);
    match text.parse() {
        Ok(value) => Some(Listen { address: Located { value, span } }),
        Err(_) => {
            let help =
                "write an address and a port: \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for all addresses".to_owned();
            reader.report(span, format!("`{text}` is no address to listen on"), help);
            None
        }
    }
}

fn read_push(reader: &mut Reader<'_>, spec: &'static TableSpec, node: &Node, known: &Known<'_>) -> Option<Push> {
    let section: Section<'_> = reader.section(spec, node)?;
    let target = reader.located::<String>(&section, "target");
    let path: String = reader.value(&section, "path");
    if !path.starts_with('/') {
        let span = section.table.get("path").map_or(section.span, |node| node.span);
        reader.report(span, format!("`{path}` is no path"), "begin it with `/`".to_owned());
    }
    let target = target?;
    if target.value == SIMULATED_TARGET {
        reader.report(target.span, "the simulated server takes no series", "name a target with a URL".to_owned());
    } else if !known.targets.contains(&target.value.as_str()) {
        let help = suggest::suggestion(&target.value, known.targets.iter().copied());
        reader.report(target.span, format!("there is no target `{}`", target.value), help);
    }
    Some(Push { target, path })
}
