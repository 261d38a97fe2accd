//! A connection between two programs, which can be cut.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Result;

/// Passes connections on while it is whole.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Every open end; `None` while it is cut.
    ends: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, ends) = (listener.local_addr()?, Arc::new(Mutex::new(Some(Vec::new()))));
        let relay = Self { address, ends: ends.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be forwarded is closed, as if cut.
                let _ = pass(&client, server, &ends);
            }
        });
        Ok(relay)
    }

    /// Breaks every connection, and lets no new one through.
    pub(crate) fn cut(&self) {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        for end in ends.iter().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }
}

fn pass(client: &TcpStream, server: SocketAddr, ends: &Mutex<Option<Vec<TcpStream>>>) -> io::Result<()> {
    let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(ends) = ends.as_mut() else { return Ok(()) };
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    ends.extend([client.try_clone()?, server.try_clone()?]);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client.try_clone()?)] {
        thread::spawn(move || {
            let copied = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            copied
        });
    }
    Ok(())
}
