//! The graceful end: open requests are answered, and nothing else is waited for.

use std::net::SocketAddr;

use doorward::internals::Listening;
use doorward::testing::Site;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{GET, Wire, answers, soon, status};

/// A server that stops when it is told to.
struct Stoppable {
    _site: Site,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn serving(drain_timeout: &str) -> Stoppable {
    // The time-outs of clients are long: only the end itself can end their connections.
    let settings =
        [("http.drain_timeout", drain_timeout), ("http.head_timeout", "120s"), ("http.body_timeout", "120s")];
    let site = Site::with(&settings).await;
    let listening = Listening::bind(&site.app).await.unwrap();
    let address = listening.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(listening.serve(async { drop(stopped.await) }));
    Stoppable { _site: site, address, stop, ended }
}

const HALF: &str = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

/// A client whose request has begun: the server asked for the body.
async fn in_the_middle(address: SocketAddr) -> Wire {
    let mut wire = Wire::to(address).await;
    assert_eq!(wire.asks(HALF).await.status(), 100);
    wire
}

#[tokio::test]
async fn an_open_request_is_answered_after_the_listener_closed() {
    let server = serving("120s").await;
    let mut open = in_the_middle(server.address).await;
    server.stop.send(()).unwrap();
    soon(async {
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!server.ended.is_finished());
    open.says(format!("{{}}{GET}")).await;
    let heard = open.hears_the_end().await;
    assert_eq!((answers(&heard), status(&heard)), (1, 422), "{heard}");
    assert!(heard.contains("connection: close"), "{heard}");
    soon(server.ended).await.unwrap();
}

#[tokio::test]
async fn idle_and_silent_connections_are_closed_at_once() {
    let server = serving("120s").await;
    let silent = Wire::to(server.address).await;
    let mut used = Wire::to(server.address).await;
    assert_eq!(used.asks(GET).await.status(), 200);
    server.stop.send(()).unwrap();
    soon(server.ended).await.unwrap();
    assert_eq!(used.hears_the_end().await, "");
    assert_eq!(silent.hears_the_end().await, "");
}

#[tokio::test]
async fn what_hangs_is_cut_off_when_the_time_to_drain_is_over() {
    let server = serving("200ms").await;
    let in_body = in_the_middle(server.address).await;
    let mut in_head = Wire::to(server.address).await;
    assert_eq!(in_head.asks(GET).await.status(), 200);
    in_head.says("GET /healthz HTTP/1.1\r\nHost: ").await;
    server.stop.send(()).unwrap();
    soon(server.ended).await.unwrap();
    assert_eq!(in_body.hears_the_end().await, "");
    assert_eq!(in_head.hears_the_end().await, "");
}
