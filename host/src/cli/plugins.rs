//! `kperf-host plugins`: what is built in, and what a plugin says of itself.

use std::fmt::Write as _;

use kperf_metrics::{MetricDef, Unit};
use kperf_plugin::{Engine, Plugin};

use super::{block_on, engine};
use crate::terminal::{self, FAINT, STRONG};
use kperf_results::Exit;

/// Lists the built-in plugins, or describes one.
pub(super) fn show(wanted: Option<&str>) -> Exit {
    let engine = match engine::make() {
        Ok(engine) => engine,
        Err(error) => {
            terminal::error(&error);
            return Exit::Internal;
        }
    };
    block_on(async {
        match wanted {
            None => list(&engine).await,
            Some(name) => describe(&engine, name).await,
        }
    })
}

async fn list(engine: &Engine) -> Exit {
    for name in kperf_guests::names() {
        let Some(bytes) = kperf_guests::get(name) else { continue };
        match Plugin::load(engine, bytes).await {
            Ok(plugin) => {
                let description = plugin.description();
                terminal::out(&format!(
                    "{STRONG}{name:20}{STRONG:#} {:9} {}  {FAINT}{}{FAINT:#}",
                    plugin.world(),
                    description.version,
                    description.summary
                ));
            }
            Err(error) => {
                terminal::error(&format!("{name}: {error}"));
                return Exit::Internal;
            }
        }
    }
    for name in kperf_native::names() {
        let Some(plugin) = kperf_native::Plugin::builtin(name) else { continue };
        let description = plugin.description();
        terminal::out(&format!(
            "{STRONG}{name:20}{STRONG:#} {:9} {}  {FAINT}{}, native{FAINT:#}",
            "collector", description.version, description.summary
        ));
    }
    Exit::Pass
}

async fn describe(engine: &Engine, name: &str) -> Exit {
    if let Some(plugin) = kperf_native::Plugin::builtin(name) {
        terminal::out(&native_text(&plugin));
        return Exit::Pass;
    }
    let bytes = match kperf_guests::get(name) {
        Some(bytes) => std::borrow::Cow::Borrowed(bytes),
        None => match std::fs::read(name) {
            Ok(bytes) => bytes.into(),
            Err(_) => {
                let help = kperf_suite::suggestion(name, kperf_guests::names().chain(kperf_native::names()));
                terminal::error(&format!("no built-in plugin and no file `{name}`; {help}"));
                return Exit::Usage;
            }
        },
    };
    match Plugin::load(engine, &bytes).await {
        Ok(plugin) => {
            terminal::out(&text(&plugin));
            Exit::Pass
        }
        Err(error) => {
            terminal::error(&format!("{name}: {}: {error}", error.fault()));
            Exit::NotReady
        }
    }
}

fn native_text(plugin: &kperf_native::Plugin) -> String {
    let description = plugin.description();
    let mut text = format!(
        "{STRONG}{}{STRONG:#} {}, a native collector (`native = true`, --allow-native): {}\n",
        description.name, description.version, description.summary
    );
    for mode in &description.modes {
        let _ = write!(text, "\nmode {STRONG}{}{STRONG:#}: {}\n{:#}\n", mode.name, mode.description, mode.schema);
    }
    metrics(&mut text, &description.metrics);
    text.trim_end().to_owned()
}

fn metrics(text: &mut String, metrics: &[MetricDef]) {
    if !metrics.is_empty() {
        let _ = write!(text, "\nmetrics\n");
    }
    for metric in metrics {
        let _ = writeln!(
            text,
            "  {:28} {:12} {:8} {}",
            metric.name,
            metric.kind.to_string(),
            metric.unit.to_string(),
            metric.description
        );
    }
}

fn text(plugin: &Plugin) -> String {
    let description = plugin.description();
    let sharing = if plugin.is_concurrent() { "users share instances" } else { "an instance per user" };
    let mut text = format!(
        "{STRONG}{}{STRONG:#} {}, a {}: {}\nsha256:{}, {sharing}\n",
        description.name,
        description.version,
        plugin.world(),
        description.summary,
        plugin.digest()
    );
    for mode in &description.modes {
        let target = if mode.needs_target { " (needs a target)" } else { "" };
        let _ =
            write!(text, "\nmode {STRONG}{}{STRONG:#}: {}{target}\n{:#}\n", mode.name, mode.description, mode.schema);
    }
    metrics(&mut text, &description.metrics);
    for table in &description.tables {
        let _ = write!(text, "\ntable {STRONG}{}{STRONG:#}: {}\n", table.name, table.description);
        for column in &table.columns {
            let unit = if column.unit == Unit::None { String::new() } else { column.unit.to_string() };
            let _ = writeln!(text, "  {:28} {:12} {:8} {}", column.name, column.of.name(), unit, column.description);
        }
        if let Some(span) = &table.span {
            let _ = writeln!(
                text,
                "  a bar named by `{}` from `{}` to `{}`, one waterfall per `{}`: kperf-host trace",
                span.name, span.start, span.end, span.trace
            );
        }
    }
    text.trim_end().to_owned()
}
