//! The yardstick: the smallest axum server, `GET /` → `hello`, on the runtime that `doorward serve` uses.
//!
//! Like `doorward serve` it prints the address that it listens on, and takes as many worker threads as it has cores.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        println!("http://{}", listener.local_addr()?);
        // A task of its own, so that connections are accepted where they are served.
        tokio::spawn(async {
            axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))).await
        })
        .await??;
        Ok(())
    })
}
