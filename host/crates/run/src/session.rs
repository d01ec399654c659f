//! What plugins are given: a client for their target, a shard, the run's clock, and what the suite grants to them.
//!
//! A [`Session`] knows what all plugins of a run have in common and builds the environment of each; from that every thread that
//! runs the plugin makes its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use kperf_http::{HttpVersion, OriginConfig, Tls, TlsConfig};
use kperf_metrics::{Registry, Shard, Tags};
use kperf_plan::{Cluster, Part, Plan, Secrets};
use kperf_plugin::{
    Facts, Grants, HostGrant, Incidents, Limits, PluginContext, Records, RequestDefaults, WorkerContext,
};
use kperf_results::RunFolder;
use kperf_schedule::Rate;
use kperf_suite::{Address, Double, Located, PluginUse, Suite, Target, TargetRef};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::unix_ns;
use crate::servers::RunningServers;

/// Why a plugin can't be given what its suite says.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The suite names a target that it does not have.
    #[error("there is no target `{0}`")]
    NoTarget(String),
    /// The target was inside a process that has ended.
    #[error("`{0}` ended with the run")]
    Ended(&'static str),
    /// The target takes nothing.
    #[error("it takes no series: give it a `url`")]
    NoUrl,
    /// The target's URL can't be used.
    #[error("can't use the URL `{url}`: {source}")]
    Url {
        /// The URL, without what of it is a secret.
        url: String,
        /// What was said about it below.
        source: http::uri::InvalidUri,
    },
    /// A file of the target can't be read.
    #[error("can't read `{file}` of target `{target}`: {source}")]
    File {
        /// The file, as the suite writes it.
        file: String,
        /// The target's name in the suite.
        target: String,
        /// What was said about it below.
        source: std::io::Error,
    },
    /// The target's certificates can't be used.
    #[error("can't use the certificates of target `{target}`: {source}")]
    Certificates {
        /// The target's name in the suite.
        target: String,
        /// What was said about it below.
        source: kperf_http::Error,
    },
    /// A header of the target can't be sent.
    #[error("can't send the header `{header}` of target `{target}`: {source}")]
    Header {
        /// The header's name.
        header: String,
        /// The target's name in the suite.
        target: String,
        /// What was said about it below.
        source: http::Error,
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
            incidents: self.incidents.clone(),
            redactor: self.redactor.clone(),
            seed: self.seed,
        })
    }
}

/// What all plugins of a run have in common.
pub(crate) struct Session<'a> {
    suite: &'a Suite,
    folder: &'a RunFolder,
    run: &'a str,
    secrets: &'a Secrets,
    /// Where the simulated server listens, if it runs.
    simulated: Option<String>,
    /// Where the doubles listen that the suite uses.
    doubles: BTreeMap<Double, String>,
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
            suite: &plan.suite,
            folder,
            run,
            secrets,
            simulated: None,
            doubles: BTreeMap::new(),
            registry: Registry::default(),
            epoch: Instant::now(),
            incidents,
            facts: Facts::default(),
            trust: trust(plan)?,
        })
    }

    /// With servers inside this process as targets.
    pub(crate) fn with_servers(self, servers: &RunningServers) -> Self {
        Self { simulated: servers.simulated(), doubles: servers.doubles(), ..self }
    }

    /// With the registry of the run.
    pub(crate) fn with_registry(self, registry: Registry) -> Self {
        Self { registry, ..self }
    }

    /// Removes secrets from texts.
    pub(crate) fn redactor(&self) -> &kperf_plugin::Redactor {
        &self.secrets.redactor
    }

    /// What a part of the plan may do and use, and what its threads need. `tags` go on all its samples.
    ///
    /// # Errors
    /// When its target can't be used.
    pub(crate) fn environment(
        &self,
        part: &Part,
        used: &PluginUse,
        tags: Tags,
    ) -> Result<(PluginContext, ThreadEnvironment), EnvironmentError> {
        let mut context = PluginContext {
            name: part.name.as_str().into(),
            mode: part.mode.clone(),
            parameters: part.params.json.clone(),
            metrics: part.params.metrics.clone(),
            run: self.run.to_owned(),
            suite: self.suite.name.clone(),
            limits: limits(&used.limits),
            tags,
            artifacts: Some(self.folder.artifacts(&part.name)),
            grants: Grants {
                hosts: used.allow_hosts.iter().filter_map(|host| host.to_string().parse::<HostGrant>().ok()).collect(),
                files: part.params.files.clone().into_iter().collect(),
                credentials: used
                    .credentials
                    .iter()
                    .chain(&part.params.credentials)
                    .filter_map(|name| Some((name.clone(), Arc::clone(self.secrets.credentials.get(name)?))))
                    .collect(),
                ..Grants::default()
            },
            ..PluginContext::default()
        };
        let mut reached = None;
        match used.target.as_ref().map(|target| &target.value) {
            None => {}
            Some(TargetRef::Simulated) => {
                let url = self.simulated.clone().unwrap_or_default();
                reached = Some((uri(&url)?, OriginConfig::default()));
                context.target = url;
            }
            Some(TargetRef::Named(name)) => {
                let target = self.suite.targets.get(name).ok_or_else(|| EnvironmentError::NoTarget(name.clone()))?;
                let url = match &target.address {
                    Address::Simulated => self.simulated.clone().unwrap_or_default(),
                    Address::Double(double) => {
                        let url = self.doubles.get(double).cloned();
                        url.ok_or(EnvironmentError::Ended(double.word()))?
                    }
                    Address::Secret(name) => self.secrets.urls.get(&name.value).cloned().unwrap_or_default(),
                    Address::Url(_) | Address::Cluster(_) => target.address.base_url().unwrap_or_default().to_owned(),
                };
                context.target = match &target.address {
                    Address::Secret(_) => origin_of(&url),
                    _ => url.clone(),
                };
                context.requests = requests(target)?;
                context.grants.target_credential = target
                    .credential
                    .as_ref()
                    .and_then(|credential| self.secrets.credentials.get(&credential.value).cloned())
                    .or_else(|| self.secrets.clusters.get(name).cloned());
                let tls = self.trust.get(name).cloned().unwrap_or_default();
                reached = Some((uri(&url)?, origin(target, tls)));
            }
        }
        context.grants.target = reached.as_ref().map(|(url, _)| url.clone());
        let threads = ThreadEnvironment {
            registry: self.registry.clone(),
            epoch: self.epoch,
            incidents: self.incidents.clone(),
            facts: self.facts.clone(),
            redactor: self.secrets.redactor.clone(),
            seed: self.suite.seed,
            target: reached,
        };
        Ok((context, threads))
    }
}

/// Whom to trust at each of the suite's targets; read once, shared by all threads.
fn trust(plan: &Plan) -> Result<BTreeMap<String, Tls>, EnvironmentError> {
    let of_target = |target: &Target| match plan.clusters.get(&target.name) {
        Some(cluster) => trust_of_cluster(&cluster.value, &target.name),
        None => trust_of(target, &plan.folder),
    };
    plan.suite.targets.values().map(|target| Ok((target.name.clone(), of_target(target)?))).collect()
}

/// What of a URL is no secret.
pub(crate) fn origin_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

pub(crate) fn uri(url: &str) -> Result<Uri, EnvironmentError> {
    url.parse().map_err(|source| EnvironmentError::Url { url: url.to_owned(), source })
}

pub(crate) fn trust_of(target: &Target, folder: &Path) -> Result<Tls, EnvironmentError> {
    let read = |path: &Located<String>| {
        std::fs::read(folder.join(&path.value)).map_err(|source| EnvironmentError::File {
            file: path.value.clone(),
            target: target.name.clone(),
            source,
        })
    };
    let authorities = target.ca.as_ref().map(read).transpose()?;
    let identity = target.client_certificate.as_ref();
    let identity =
        identity.map(|(certificate, key)| Ok::<_, EnvironmentError>((read(certificate)?, read(key)?))).transpose()?;
    let config = TlsConfig {
        authorities: authorities.as_deref(),
        identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
        insecure: target.insecure,
    };
    tls(config, &target.name)
}

fn trust_of_cluster(cluster: &Cluster, target: &str) -> Result<Tls, EnvironmentError> {
    let identity = cluster.user.identity.as_ref();
    let config = TlsConfig {
        authorities: cluster.authorities.as_deref(),
        identity: identity.map(|(certificate, key)| (certificate.as_slice(), key.expose().as_bytes())),
        insecure: cluster.insecure,
    };
    tls(config, target)
}

fn tls(config: TlsConfig<'_>, target: &str) -> Result<Tls, EnvironmentError> {
    // What most targets have is loaded once and shared.
    match config {
        TlsConfig { authorities: None, identity: None, insecure: false } => Ok(Tls::default()),
        config => {
            Tls::new(config).map_err(|source| EnvironmentError::Certificates { target: target.to_owned(), source })
        }
    }
}

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

pub(crate) fn requests(target: &Target) -> Result<RequestDefaults, EnvironmentError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers {
        let wrong = |source| EnvironmentError::Header { header: name.clone(), target: target.name.clone(), source };
        headers.append(
            HeaderName::try_from(name).map_err(|error| wrong(error.into()))?,
            HeaderValue::try_from(value).map_err(|error| wrong(error.into()))?,
        );
    }
    Ok(RequestDefaults {
        timeout: Some(target.timeout),
        body_limit: target.body_limit.bytes(),
        compression: target.compression,
        headers,
    })
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
