//! Serving: the listener, the connections and their limits, and the orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::Service;

use crate::app::App;

/// A server that has its address and accepts connections as soon as [`Listening::serve`] is awaited.
pub struct Listening {
    listener: TcpListener,
    app: App,
}

impl Listening {
    /// Binds the address of the settings. Keys and revocations are loaded by then: [`App::open`] did it.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub async fn bind(app: &App) -> std::io::Result<Self> {
        let listener = TcpListener::bind(app.settings.listen).await?;
        Ok(Self { listener, app: app.clone() })
    }

    /// The address that it really listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready; then accepts nothing more, lets open requests finish, and closes the store.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, app } = self;
        let keeping_up = app.keep_up();
        let router = crate::router(&app);
        let connections = Arc::new(Semaphore::new(app.settings.max_connections));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            // A place first: beyond the limit connections wait in the system's queue.
            let accepted = async {
                let place = connections.clone().acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, stream, peer) = tokio::select! {
                () = &mut stop => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, peer)) => (place, stream, peer),
                    Err(error) => {
                        pause_after(&error).await;
                        continue;
                    }
                },
            };
            let connection = connection(stream, peer, router.clone(), &app);
            let watched = graceful.watch(connection);
            tokio::spawn(async move {
                let _place = place;
                // A client that breaks off is its own affair.
                let _ = watched.await;
            });
        }
        drop(listener);
        if tokio::time::timeout(app.settings.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still open when the time to drain was over");
        }
        keeping_up.abort();
        if let Err(error) = app.sessions.memory.flush().await {
            tracing::warn!(%error, "the last use of sessions could not be written");
        }
        app.store.close().await;
    }
}

/// Out of file descriptors is no reason to spin; a connection that is gone already is none to wait.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

type Connection<S> = http1::Connection<TokioIo<TcpStream>, S>;

/// What answers the requests of one connection.
trait Answers: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + Send {}

impl<S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + Send> Answers for S {}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    app: &App,
) -> Connection<impl Answers + use<>> {
    let _ = stream.set_nodelay(true);
    let settings = &app.settings;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_buf_size(settings.head_limit.max(8_192))
        .serve_connection(TokioIo::new(stream), service)
}

/// Serves the application until `stop` is ready.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(app: &App, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    Listening::bind(app).await?.serve(stop).await;
    Ok(())
}
