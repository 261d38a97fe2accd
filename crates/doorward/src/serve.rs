//! Serving: the listener, the connections and their limits, and the graceful shutdown.
//!
//! Whatever a client does, it holds one of `http.max_connections` places, and not forever. The head must arrive within
//! `http.head_timeout`, which is also how long a connection may be idle. The body must arrive within
//! `http.body_timeout`, which the reader of bodies enforces. Each piece of the answer must be accepted within
//! `http.write_timeout`. HTTP/1.1 only, also over TLS.

mod health;
mod metrics;
mod places;
mod process;
mod stream;
mod tls;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::routes::Served;
use crate::seldom::seldom;
use crate::settings::Settings;
use crate::web::front::RequestService;
pub use health::Health;
use places::Addresses;
use stream::{ClientStream, Turn};
pub use tls::Certificate;
use tls::Tls;

/// A server that has its address, and accepts connections as soon as [`Listening::serve`] is awaited.
pub struct Listening {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    tls: Option<Tls>,
    app: App,
}

impl Listening {
    /// Binds the address of the settings. Keys and revocations are loaded by then, by [`App::open`].
    ///
    /// # Errors
    /// The address is taken, or not an address of this machine; the certificate cannot be used.
    pub async fn bind(app: &App) -> std::io::Result<Self> {
        let (listener, metrics) = sockets(&app.settings).await?;
        app.listens_on(listener.local_addr()?);
        let tls = Tls::load(&app.settings).await?;
        Ok(Self { listener, metrics, tls, app: app.clone() })
    }

    /// Checks that the addresses of the settings are free, and releases them.
    ///
    /// # Errors
    /// An address is taken, or not an address of this machine.
    pub async fn check(settings: &Settings) -> std::io::Result<()> {
        sockets(settings).await.map(drop)
    }

    /// The address that it really listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of the metrics, if the settings ask for them.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop` completes. From then on it isn't ready (`/readyz`), and goes on for `http.drain_delay`, so
    /// that a load balancer may notice. It then accepts nothing more, closes idle connections and lets open requests
    /// finish for `http.drain_timeout`. After that it cuts the remaining ones and closes the store.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, metrics, tls, app } = self;
        let keeping_up = app.keep_up();
        let metrics = metrics.map(|listener| tokio::spawn(metrics::serve(listener, app.clone())));
        let acceptor = tls.as_ref().map(Tls::acceptor);
        let renewing = tls.map(|tls| tokio::spawn(tls.follow()));
        let stop = async {
            stop.await;
            app.drain();
            tokio::time::sleep(app.settings.drain_delay).await;
        };
        let graceful = GracefulShutdown::new();
        let mut open = JoinSet::new();
        tokio::select! {
            () = stop => {}
            never = accept_all(&listener, &app, acceptor, &graceful, &mut open) => match never {},
        }
        drop(listener);
        if tokio::time::timeout(app.settings.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still open when the time to drain was over");
        }
        open.shutdown().await;
        keeping_up.abort();
        metrics.iter().chain(&renewing).for_each(JoinHandle::abort);
        app.close().await;
    }
}

/// The listener for requests, and the one for metrics if there is to be one.
async fn sockets(settings: &Settings) -> std::io::Result<(TcpListener, Option<TcpListener>)> {
    let listener = TcpListener::bind(settings.listen).await?;
    Ok((listener, metrics::bind(settings.metrics_listen).await?))
}

/// Takes a place first, then a connection: beyond the limit, clients wait in the system's queue until one is free.
async fn accept_all(
    listener: &TcpListener,
    app: &App,
    tls: Option<TlsAcceptor>,
    graceful: &GracefulShutdown,
    open: &mut JoinSet<()>,
) -> Infallible {
    let routes = Served::new(app);
    let places = Arc::new(Semaphore::new(places::places(app.settings.max_connections)));
    let addresses = Addresses::new(&app.settings, app.metrics.closed.clone());
    loop {
        let place = places.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(seat) = addresses.seat(peer.ip()) else { continue };
                let (service, app, tls, watcher) =
                    (routes.to(peer), app.clone(), tls.clone(), graceful.watcher());
                open.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    // A client that breaks off is no failure of the server.
                    match tls {
                        None => drop(watcher.watch(connection(stream, service, &app)).await),
                        Some(tls) => {
                            // A handshake has the time of a head (attack H13).
                            let shaken =
                                tokio::time::timeout(app.settings.head_timeout, tls.accept(stream)).await;
                            if let Ok(Ok(stream)) = shaken {
                                drop(watcher.watch(connection(stream, service, &app)).await);
                            }
                        }
                    }
                    drop((place, seat));
                });
            }
            Err(error) => pause_after(&error, app).await,
        }
        while open.try_join_next().is_some() {}
    }
}

/// Without file descriptors, wait instead of spinning; a connection that has gone already needs no wait.
async fn pause_after(error: &std::io::Error, app: &App) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        app.metrics.unaccepted.inc();
        seldom!(WARN, "a connection could not be accepted", %error);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

type Connection<T, S> = http1::Connection<TokioIo<ClientStream<T>>, S>;

fn connection<T: AsyncRead + AsyncWrite + Unpin + Send + 'static, S: RequestService<Incoming>>(
    stream: T,
    service: S,
    app: &App,
) -> Connection<T, impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + use<T, S>> {
    let (settings, turn) = (&app.settings, Turn::default());
    let stream = ClientStream::new(stream, turn.clone(), settings.head_timeout, settings.write_timeout);
    let service = service_fn(move |request: Request<Incoming>| {
        turn.pass();
        let turn = turn.clone();
        let answered = wire::is_plain(&request).then(|| service.clone().call(request));
        async move {
            let response = match answered {
                Some(answered) => answered.await,
                None => Ok(wire::refusal()),
            };
            turn.pass();
            response
        }
    });
    http1::Builder::new()
        // Otherwise hyper reads ahead during each request to notice a hang-up, which stops nothing here.
        .half_close(true)
        // The stream has a deadline for heads, which costs less.
        .header_read_timeout(None)
        .max_buf_size(settings.head_limit.max(8_192))
        .serve_connection(TokioIo::new(stream), service)
}

/// Serves the application until `stop` completes.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(app: &App, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    Listening::bind(app).await?.serve(stop).await;
    Ok(())
}
