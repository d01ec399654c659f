//! A plan for people: what `kperf-host plan` shows.

use std::fmt::Write as _;

use kperf_schedule::Pacer;
use kperf_suite::{DurationText, PluginUse, TargetRef};

use crate::load_text::{describe, plural, steps};
use crate::plan::{Plan, PlannedPlugin, PlannedScenario};
use crate::target::TargetAddress;

impl Plan {
    /// The plan for people.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = format!("suite {}", self.suite.name);
        if let Some(environment) = &self.suite.environment {
            let _ = write!(text, ", environment {environment}");
        }
        let _ = writeln!(text, "\n");
        let uses = self.suite.scenarios.iter().map(|scenario| &scenario.plugin);
        for (scenario, used) in self.scenarios.iter().zip(uses) {
            self.show_scenario(&mut text, scenario, used);
        }
        for (plugin, collector) in self.collectors.iter().zip(&self.suite.collectors) {
            let _ = writeln!(text, "collector {}", plugin.name);
            self.show_plugin(&mut text, plugin, &collector.plugin);
            text.push('\n');
        }
        for (plugin, reporter) in self.reporters.iter().zip(&self.suite.reporters) {
            let _ = writeln!(text, "reporter {}", plugin.name);
            self.show_plugin(&mut text, plugin, &reporter.plugin);
            let on: Vec<&str> = reporter.on.iter().map(|it| it.word()).collect();
            let hold = DurationText(reporter.hold);
            let _ = writeln!(text, "  speaks     on {}; of breaches after {hold}\n", on.join(", "));
        }
        for native in &self.natives {
            let description = native.plugin.description();
            let _ = writeln!(
                text,
                "collector {}\n  plugin     {} {} ({}), mode {}\n  reaches    anything: native, outside the sandbox\n",
                native.name, description.name, description.version, native.source, native.mode
            );
        }
        self.show_export(&mut text);
        for threshold in &self.thresholds {
            let _ = writeln!(text, "must hold  {}", threshold.text);
        }
        text.trim_end().to_owned()
    }

    fn show_scenario(&self, text: &mut String, scenario: &PlannedScenario, used: &PluginUse) {
        let schedule = &scenario.schedule;
        let _ = writeln!(text, "scenario {}", scenario.plugin.name);
        self.show_plugin(text, &scenario.plugin, used);
        let end = schedule.start + Pacer::new(&schedule.executor).total_duration();
        let _ = writeln!(
            text,
            "  when       {} to {}{}, then up to {} for running iterations",
            DurationText(schedule.start),
            DurationText(end),
            if schedule.executor.is_open() && schedule.executor.search().is_none() { "" } else { " at the latest" },
            DurationText(schedule.graceful_stop)
        );
        let _ = writeln!(text, "  load       {}", describe(&schedule.executor));
        if let Some(search) = schedule.executor.search() {
            let _ = writeln!(text, "  steps      {}", steps(search));
            let best = DurationText(search.trial / 10);
            let _ = writeln!(text, "  suits      iterations of up to {best}, a tenth of a step");
        }
        let users = schedule.executor.max_users();
        let _ = writeln!(text, "  users      up to {users} on {}", plural(scenario.workers, "worker"));
        for criterion in &scenario.criteria {
            let _ = writeln!(text, "  each step  {}", criterion.text);
        }
        for threshold in &scenario.thresholds {
            let _ = writeln!(text, "  must hold  {}", threshold.text);
        }
        text.push('\n');
    }

    fn show_export(&self, text: &mut String) {
        let export = &self.suite.export;
        let pushes = [("remote write", &export.remote_write), ("otlp", &export.otlp)];
        let urls = pushes.iter().filter_map(|(what, push)| {
            let push = push.as_ref()?;
            match self.address(&TargetRef::Named(push.target.value.clone()))? {
                TargetAddress::Url(url) => Some(format!("  {what:13} to {url}{}\n", push.path)),
                TargetAddress::Simulated | TargetAddress::Double(_) | TargetAddress::Secret(_) => None,
            }
        });
        let listen = export.prometheus.as_ref().map(|it| format!("  /metrics      on {}\n", it.address.value));
        let lines: String = listen.into_iter().chain(urls).collect();
        if !lines.is_empty() {
            let _ = writeln!(text, "export\n{lines}");
        }
    }

    fn show_plugin(&self, text: &mut String, plugin: &PlannedPlugin, used: &PluginUse) {
        let description = plugin.component.description();
        let _ = writeln!(
            text,
            "  plugin     {} {} ({}), mode {}",
            description.name, description.version, plugin.source, plugin.mode
        );
        let target = used.target.as_ref().and_then(|target| self.address(&target.value));
        let place = target.map(|target| match target {
            TargetAddress::Simulated => "the simulated server, on loopback".to_owned(),
            TargetAddress::Double(double) => format!("{}, on loopback", double.word()),
            TargetAddress::Secret(credential) => format!("the URL in the credential {credential}"),
            TargetAddress::Url(url) => url.to_owned(),
        });
        let hosts: Vec<String> = place.into_iter().chain(used.allow_hosts.iter().map(ToString::to_string)).collect();
        let hosts = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") };
        let _ = writeln!(text, "  reaches    {hosts}");
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::input;

    #[tokio::test]
    async fn a_plan_says_what_will_run_and_where_requests_go() {
        let suite = r#"
name = "s"
[credentials.hook]
env = "HOOK"
[targets.secret]
url_from = "hook"
[targets.store]
url = "http://store:9009/"
[export.remote_write]
target = "store"
[[scenario]]
name = "a"
plugin = "http-runner"
mode = "requests"
target = "secret"
allow_hosts = ["other.example:8080"]
thresholds = ["http_req_failed rate < 1%"]
start = "5s"
load = { executor = "constant-arrival-rate", rate = "30/m", duration = "1m", pre_allocated_vus = 4, graceful_stop = "10s" }
params = { requests = [{ name = "get", path = "/" }] }
"#;
        let plan = input(suite).plan(&[]).await.unwrap_or_else(|error| panic!("{error}"));
        let version = env!("CARGO_PKG_VERSION");
        let wanted = format!(
            "suite s\n\nscenario a\n  plugin     http-runner {version} (built-in), mode requests\n  \
             reaches    the URL in the credential hook, other.example:8080\n  \
             when       5s to 1m5s, then up to 10s for running iterations\n  \
             load       constant-arrival-rate: 30/m for 1m\n  users      up to 4 on 2 workers\n  \
             must hold  http_req_failed rate < 1%\n\nexport\n  remote write  to http://store:9009/api/v1/write"
        );
        assert_eq!(plan.show(), wanted);
    }
}
