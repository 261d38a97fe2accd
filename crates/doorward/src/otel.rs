//! OpenTelemetry: what the recorder of flows reads, as spans, by OTLP over HTTP to the collector of `otel.endpoint`.
//!
//! A request belongs to the trace of its `traceparent` only if a trusted proxy sent it. A stranger neither joins a trace
//! nor decides whether one is sent. Doorward sends its own `traceparent` to nobody.

mod exporter;
mod messages;
mod spans;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_guard::outgoing::Outgoing;
use http::{HeaderMap, Uri};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::exporter::Collector;
use self::messages::{KeyValue, Resource};
use self::spans::Conversion;
use crate::counters::Counts;
use crate::flow::{Flows, TraceOrigin, TraceParent, Traced};
use crate::random;
use crate::settings::{Settings, SettingsError};
use crate::wire::peer::{client_ip, said_of_itself};

/// How long a stopping server may take to send what is left.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans, if there is a collector.
pub(crate) struct Otel(Option<Open>);

struct Open {
    collector: Collector,
    conversion: Conversion,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Otel {
    /// Reads the settings; nothing is sent yet.
    ///
    /// # Errors
    /// The certificate authorities cannot be used.
    pub(crate) fn open(settings: &Settings, headers: HeaderMap) -> Result<Self, SettingsError> {
        let Some(endpoint) = &settings.otel_endpoint else { return Ok(Self(None)) };
        let url = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')).parse::<Uri>();
        let url = url.map_err(|error| SettingsError::new(format!("otel.endpoint: {error}"), ""))?;
        let collector = Collector {
            client: client(settings.otel_ca.as_deref())?,
            url,
            headers: exporter::headers(headers),
            resource: resource(settings),
            counts: Counts::default(),
        };
        let conversion = Conversion {
            is_personal: settings.otel_personal,
            share: (settings.otel_sample.0 / 100.0 * 2_f64.powi(63)) as u64,
            is_https: settings.public_scheme() == "https",
        };
        Ok(Self(Some(Open { collector, conversion, running: Mutex::default() })))
    }

    /// Sends the spans of all flows from now on, until [`Otel::stop`] or until this is dropped.
    pub(crate) fn start(&self, flows: &Arc<Flows>) {
        let Some(open) = &self.0 else { return };
        let (stop, stopped) = watch::channel(false);
        let run = exporter::run(flows.read(), open.conversion, open.collector.clone(), stopped);
        let running = Running { stop, task: tokio::spawn(run) };
        *open.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// Sends what is left, for 5 s at most.
    pub(crate) async fn stop(&self) {
        let running = |open: &Open| open.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { stop, mut task }) = self.0.as_ref().and_then(running) else { return };
        stop.send_replace(true);
        if tokio::time::timeout(LAST_TIMEOUT, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the last spans could not be sent in time");
        }
    }

    /// What the span of a request needs to know of it. `peer` is the address of the socket.
    pub(crate) fn traced(
        &self,
        settings: &Settings,
        peer: impl FnOnce() -> IpAddr,
        headers: &HeaderMap,
    ) -> Option<Box<Traced>> {
        let open = self.0.as_ref()?;
        let peer = peer();
        let parent = settings.is_trusted_proxy(peer).then(|| TraceParent::read(headers)).flatten();
        let origin = open.conversion.is_personal.then(|| TraceOrigin {
            ip: client_ip(peer, headers, &settings.trusted_proxies),
            user_agent: headers.get(http::header::USER_AGENT).map(|value| said_of_itself(value).into_owned()),
        });
        (parent.is_some() || origin.is_some()).then(|| Box::new(Traced { parent, origin }))
    }

    /// Spans, by what became of them; `None` if none are sent.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.0.as_ref().map(|open| open.collector.counts.clone())
    }
}

/// The client of outgoing requests, with further certificate authorities of this file.
fn client(authorities: Option<&Path>) -> Result<Outgoing, SettingsError> {
    let unusable = |path: &Path, why: &dyn std::fmt::Display| {
        SettingsError::new(
            format!("otel.tls_ca: cannot use {}: {why}", path.display()),
            "name a PEM file with the certificate of the authority that signed the collector's",
        )
    };
    let pem = match authorities {
        Some(path) => std::fs::read(path).map_err(|error| unusable(path, &error))?,
        None => Vec::new(),
    };
    Outgoing::new(&pem).map_err(|error| unusable(authorities.unwrap_or(Path::new("")), &error))
}

/// What all spans of this process share.
fn resource(settings: &Settings) -> Resource {
    let instance = u128::from_be_bytes(random::bytes());
    let attributes = vec![
        KeyValue::new("service.name", settings.otel_service.as_str()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{instance:032x}")),
    ];
    Resource { attributes }
}
