//! What plugins are given: a client for their target, a shard, the run's clock, and what the suite grants to them.
//!
//! A [`Session`] knows what all plugins of a run have in common and builds the environment of each; from that every thread that
//! runs the plugin makes its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use http::Uri;
use kperf_http::{HttpVersion, OriginConfig, Tls, TlsConfig};
use kperf_metrics::{Registry, Shard, Tags};
use kperf_plan::{Endpoints, Plan, PlannedPlugin, Secrets, TargetError, TlsMaterial};
use kperf_plugin::{Facts, Grants, HostGrant, Incidents, Limits, PluginContext, Records, WorkerContext};
use kperf_results::RunFolder;
use kperf_schedule::Rate;
use kperf_suite::{PluginUse, Target};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::unix_ns;
use crate::servers::RunningServers;

/// Why a plugin can't be given what its suite says.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The target is not there, or its settings can't be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The target takes nothing.
    #[error("it takes no series: give it a `url`")]
    NoUrl,
    /// The target's certificates can't be used.
    #[error("can't use the certificates of target `{target}`: {source}")]
    Certificates {
        /// The target's name in the suite.
        target: String,
        /// What was said about it below.
        source: kperf_http::Error,
    },
    /// The client refuses the target.
    #[error(transparent)]
    Client(#[from] kperf_http::Error),
}

/// What each thread of one scenario, collector or reporter makes its own environment from.
#[derive(Clone)]
pub(crate) struct ThreadEnvironment {
    pub(crate) registry: Registry,
    /// When load starts: guests' clocks count from here.
    pub(crate) epoch: Instant,
    pub(crate) incidents: Incidents,
    pub(crate) facts: Facts,
    pub(crate) redactor: kperf_plugin::Redactor,
    pub(crate) seed: u64,
    /// The target and how to talk to it; none if there is no target.
    pub(crate) target: Option<(Uri, OriginConfig)>,
}

impl ThreadEnvironment {
    /// A context for the calling thread, with a client and a shard of its own. With `kernel_timestamps` the client tells when
    /// the kernel took an answer in.
    ///
    /// # Errors
    /// When the target's URL or TLS settings can't be used.
    pub(crate) fn worker(
        &self,
        stop: watch::Receiver<bool>,
        kernel_timestamps: bool,
    ) -> Result<WorkerContext, EnvironmentError> {
        let http = kperf_http::Client::new(OriginConfig { kernel_timestamps, ..OriginConfig::default() });
        if let Some((url, config)) = &self.target {
            let config = OriginConfig { kernel_timestamps, ..config.clone() };
            http.register(url, config)?;
        }
        Ok(WorkerContext {
            registry: self.registry.clone(),
            shard: Arc::new(Mutex::new(Shard::new(self.registry.clone(), unix_ns()))),
            records: Records::default(),
            facts: self.facts.clone(),
            http,
            epoch: self.epoch,
            stop,
            ending: Arc::default(),
            incidents: self.incidents.clone(),
            redactor: self.redactor.clone(),
            seed: self.seed,
        })
    }
}

/// What all plugins of a run have in common.
pub(crate) struct Session<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    run: &'a str,
    secrets: &'a Secrets,
    /// Where servers inside this process listen.
    endpoints: Endpoints,
    pub(crate) registry: Registry,
    epoch: Instant,
    pub(crate) incidents: Incidents,
    pub(crate) facts: Facts,
    /// Whom to trust, by target.
    trust: BTreeMap<String, Tls>,
}

impl<'a> Session<'a> {
    /// A session of the run with this identifier, whose results are in `folder`; nothing inside this process is a target.
    ///
    /// # Errors
    /// When a target's certificates can't be read.
    pub(crate) fn new(
        plan: &'a Plan,
        secrets: &'a Secrets,
        folder: &'a RunFolder,
        run: &'a str,
        incidents: Incidents,
    ) -> Result<Self, EnvironmentError> {
        Ok(Self {
            plan,
            folder,
            run,
            secrets,
            endpoints: Endpoints::default(),
            registry: Registry::default(),
            epoch: Instant::now(),
            incidents,
            facts: Facts::default(),
            trust: trust(plan)?,
        })
    }

    /// With servers inside this process as targets.
    pub(crate) fn with_servers(self, servers: &RunningServers) -> Self {
        Self { endpoints: servers.endpoints(), ..self }
    }

    /// With the registry of the run.
    pub(crate) fn with_registry(self, registry: Registry) -> Self {
        Self { registry, ..self }
    }

    /// Removes secrets from texts.
    pub(crate) fn redactor(&self) -> &kperf_plugin::Redactor {
        &self.secrets.redactor
    }

    /// What a plugin of the plan may do and use, and what its threads need. `tags` go on all its samples.
    ///
    /// # Errors
    /// When its target can't be used.
    pub(crate) fn environment(
        &self,
        planned: &PlannedPlugin,
        used: &PluginUse,
        tags: Tags,
    ) -> Result<(PluginContext, ThreadEnvironment), EnvironmentError> {
        let credentials = used.credentials.iter().chain(&planned.params.credentials);
        let mut context = PluginContext {
            name: planned.name.as_str().into(),
            mode: planned.mode.clone(),
            parameters: planned.params.json.clone(),
            metrics: planned.params.metrics.clone(),
            run: self.run.to_owned(),
            suite: self.plan.suite.name.clone(),
            limits: limits(&used.limits),
            tags,
            artifacts: Some(self.folder.artifacts(&planned.name)),
            grants: Grants {
                hosts: used.allow_hosts.iter().filter_map(|host| host.to_string().parse::<HostGrant>().ok()).collect(),
                files: planned.params.files.clone().into_iter().collect(),
                credentials: credentials
                    .filter_map(|name| Some((name.clone(), self.secrets.credential(name)?)))
                    .collect(),
                ..Grants::default()
            },
            ..PluginContext::default()
        };
        let mut reached = None;
        if let Some(target) = &used.target {
            let target = self.plan.resolve(&target.value, self.secrets, &self.endpoints)?;
            let url = target.url("")?;
            context.target = target.shown_url("");
            let config = target.settings.map_or_else(OriginConfig::default, |settings| {
                origin(settings, self.trust.get(&settings.name).cloned().unwrap_or_default())
            });
            context.grants.target = Some(url.clone());
            context.grants.target_credential = target.credential;
            context.requests = target.requests;
            reached = Some((url, config));
        }
        let threads = ThreadEnvironment {
            registry: self.registry.clone(),
            epoch: self.epoch,
            incidents: self.incidents.clone(),
            facts: self.facts.clone(),
            redactor: self.secrets.redactor.clone(),
            seed: self.plan.suite.seed,
            target: reached,
        };
        Ok((context, threads))
    }
}

/// Whom to trust at each of the suite's targets; read once, shared by all threads.
fn trust(plan: &Plan) -> Result<BTreeMap<String, Tls>, EnvironmentError> {
    plan.suite.targets.values().map(|target| Ok((target.name.clone(), trust_of(plan, target)?))).collect()
}

/// Whom to trust at a target.
pub(crate) fn trust_of(plan: &Plan, target: &Target) -> Result<Tls, EnvironmentError> {
    let TlsMaterial { authorities, identity, insecure } = plan.tls(target)?;
    // What most targets have is loaded once and shared.
    if authorities.is_none() && identity.is_none() && !insecure {
        return Ok(Tls::default());
    }
    let config = TlsConfig {
        authorities: authorities.as_deref(),
        identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
        insecure,
    };
    Tls::new(config).map_err(|source| EnvironmentError::Certificates { target: target.name.clone(), source })
}

/// How to talk to a target.
pub(crate) fn origin(target: &Target, tls: Tls) -> OriginConfig {
    OriginConfig {
        tls,
        version: match target.http {
            kperf_suite::HttpVersion::Auto => HttpVersion::Auto,
            kperf_suite::HttpVersion::Http1 => HttpVersion::Http1,
            kperf_suite::HttpVersion::Http2 => HttpVersion::Http2,
        },
        connect_timeout: target.connect_timeout,
        max_connections: target.connections.map(|most| most.get() as usize),
        idle_timeout: target.idle_timeout,
        ..OriginConfig::default()
    }
}

fn limits(limits: &kperf_suite::Limits) -> Limits {
    let per_second = |rate: Rate| rate.as_per_second().ceil() as u32;
    let size = |size: kperf_suite::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    Limits {
        memory: size(limits.memory),
        cpu: limits.cpu,
        samples: per_second(limits.samples),
        log_lines: per_second(limits.log_lines),
        state: size(limits.state),
        ..Limits::default()
    }
}
