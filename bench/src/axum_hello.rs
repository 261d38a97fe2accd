//! The yardstick: the smallest axum server, `GET /` → `hello`, on the runtime that `doorward serve` uses; and `/guarded`,
//! the same behind a guard.
//!
//! Like `doorward serve` it prints the address that it listens on, and takes as many worker threads as it has cores.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use doorward_guard::{Guard, Identity};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        println!("http://{}", listener.local_addr()?);
        // The secret of the servers under test: see server.rs.
        let guard = Guard::builder().secret("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p").build().await?;
        let routes = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/guarded", get(|_: Identity| async { "hello" }))
            .with_state(guard);
        // A task of its own, so that connections are accepted where they are served.
        tokio::spawn(async { axum::serve(listener, routes).await }).await??;
        Ok(())
    })
}
