//! A service with hyper and tower alone, behind a guard's layer.
//!
//! ```sh
//! tower-without-axum 127.0.0.1:3000 http://127.0.0.1:8080    # its own address, and the server's
//! ```
//!
//! `DOORWARD_FEED_SECRET` is the server's.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use doorward_guard::{Guard, Identity};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, server] = arguments.as_slice() else {
        return Err("expected two arguments: the address to listen on, and the URL of a Doorward".into());
    };
    let secret = std::env::var("DOORWARD_FEED_SECRET")?;
    let guard = Guard::builder().server(server).feed_secret(secret).build().await?;
    let service = guard.layer().layer(service_fn(hello));
    let listener = TcpListener::bind(address).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = serving.await {
                eprintln!("a connection broke: {error}");
            }
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // Behind the layer there is an identity.
    let user = request.extensions().get::<Identity>().map(|identity| identity.user.to_string());
    Ok(Response::new(Full::from(format!("You are user {}", user.unwrap_or_default()))))
}
