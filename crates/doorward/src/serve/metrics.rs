//! Metrics, in the text form that Prometheus reads, on a listener of their own: `GET /metrics`, and the two health
//! routes. It has no other route and asks for no credential, so it listens on loopback by default.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::process;
use crate::app::App;
use crate::error::Error;
use crate::metrics::LOG_LINES_DROPPED;
use crate::web::dev::names_this_machine;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Readers of metrics hold a few connections; further ones wait.
const CONNECTIONS: usize = 32;
/// How long a head may take, and a whole connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// Answers every request, until it is dropped.
pub(super) async fn serve(listener: TcpListener, app: App) -> Infallible {
    let registry = Arc::new(registry(&app));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = tokio::task::JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let (registry, app) = (registry.clone(), app.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (registry, app) = (registry.clone(), app.clone());
                    async move { Ok::<_, Infallible>(answer(&registry, &app, &request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(16_384)
                    .serve_connection(TokioIo::new(stream), service);
                open.spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
                    drop(place);
                });
            }
            Err(error) => super::pause_after(&error, &app).await,
        }
        while open.try_join_next().is_some() {}
    }
}

async fn answer(registry: &Registry, app: &App, request: &Request<Incoming>) -> Response<Body> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        _ if app.settings.dev && !names_this_machine(request) => {
            (StatusCode::MISDIRECTED_REQUEST, "text/plain", format!("{}\n", Error::WrongHost))
        }
        (&Method::GET, "/metrics") => {
            let mut written = String::new();
            match text::encode(&mut written, registry) {
                Ok(()) => (StatusCode::OK, CONTENT_TYPE, written),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
            }
        }
        (&Method::GET, "/healthz") => (StatusCode::OK, "text/plain", "ok\n".into()),
        (&Method::GET, "/readyz") => match app.ready().await {
            Ok(_) if app.disk.is_low() => {
                (StatusCode::OK, "text/plain", "ready, without room on the disk\n".into())
            }
            Ok(false) => (StatusCode::OK, "text/plain", "ready, and the database takes no writes\n".into()),
            Ok(true) => (StatusCode::OK, "text/plain", "ready\n".into()),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n".into()),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "GET /metrics, /healthz or /readyz\n".into()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    response
}

fn registry(app: &App) -> Registry {
    let mut root = Registry::default();
    root.register_collector(Box::new(Process));
    let all = root.sub_registry_with_prefix("doorward");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    all.register("build", "The program", build);
    let (doors, store) = (&app.metrics, app.store.counts());
    all.register("refusals", "Refused requests by the code of the error", doors.refusals.clone());
    all.register("sign_ins", "Sign-ins with a password by result", doors.sign_ins.clone());
    all.register("forward_auth_denied", "Denied checks of forward-auth by the reason", doors.denied.clone());
    all.register("connections_closed", "Connections beyond the share of one client", doors.closed.clone());
    all.register("accepts_failed", "Connections that could not be accepted", doors.unaccepted.clone());
    let refreshes = app.sessions.refreshes.clone();
    all.register("refreshes", "Uses of refresh tokens: rotated, repeated, reused, refused", refreshes);
    let throttled = app.throttle.refused.clone();
    all.register("throttled", "Acts that a limit refused, by the limit", throttled);
    all.register(
        "hashing_wait_seconds",
        "How long passwords waited to be hashed",
        app.hashing.waited.clone(),
    );
    all.register("hashing_refused", "Passwords that were not hashed in time", app.hashing.refused.clone());
    all.register("store_seconds", "How long the database took, by kind of call", store.seconds.clone());
    all.register("store_errors", "Failed calls of the database, by reason", store.errors.clone());
    if let Some(spans) = app.otel.counts() {
        all.register("otel_spans", "Spans for otel.endpoint, by what became of them", spans);
    }
    all.register_collector(Box::new(AtThisMoment(app.clone())));
    root
}

/// Values of the moment, and the counters of requests.
struct AtThisMoment(App);

impl fmt::Debug for AtThisMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtThisMoment")
    }
}

impl Collector for AtThisMoment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let app = &self.0;
        app.metrics.requests.encode(&mut encoder)?;
        let set = &app.revocations.set;
        let gauges = [
            ("hashing_waiting", "Passwords that wait to be hashed", app.hashing.waiting() as f64),
            (
                "sessions_in_memory",
                "Sessions in session mode that memory knows",
                app.sessions.memory.len() as f64,
            ),
            ("revocations", "Revocations in memory", set.len() as f64),
            (
                "revocations_whole",
                "1 if memory holds every revocation, otherwise checks ask the store",
                f64::from(set.is_whole()),
            ),
            (
                "revocations_behind_seconds",
                "How long ago it was last known that nothing is missing",
                app.revocations.behind().as_secs_f64(),
            ),
            (
                "clock_ahead_seconds",
                "How far this machine's clock is ahead of the store's, which counts",
                app.clock.ahead() as f64 / 1e6,
            ),
            ("feed_followers", "Programs that follow the revocations", app.feed.followers() as f64),
            ("feed_last", "How many revocations this process has learned", app.feed.last() as f64),
            (
                "disk_low",
                "1 if the disk has less than data.reserve free, so that most writes are refused",
                f64::from(app.disk.is_low()),
            ),
            ("draining", "1 from the signal to stop on", f64::from(app.is_draining())),
        ];
        let (name, help) = ("log_lines_dropped", "Lines of the log that were not read in time");
        let dropped = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(LOG_LINES_DROPPED.load(Ordering::Relaxed)).encode(dropped)?;
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, value)?;
        }
        if let Some(free) = app.disk.free() {
            gauge(&mut encoder, "disk_free_bytes", "Free bytes on the disk of the data folder", free as f64)?;
        }
        Ok(())
    }
}

/// The numbers of the process, whose names have no prefix.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        process::look().try_for_each(|(name, help, value)| gauge(&mut encoder, name, help, value))
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

/// Binds the listener, if the settings ask for one.
pub(super) async fn bind(address: Option<SocketAddr>) -> std::io::Result<Option<TcpListener>> {
    match address {
        Some(address) => {
            let named = |error: std::io::Error| {
                std::io::Error::new(error.kind(), format!("for metrics, {address}: {error}"))
            };
            TcpListener::bind(address).await.map(Some).map_err(named)
        }
        None => Ok(None),
    }
}
