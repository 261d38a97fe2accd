//! A server that is killed during registrations and logouts keeps every one that it acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::json;

use crate::support::{Home, PASSWORD, Server, send};

/// `./test --long kills` has more.
fn kills() -> usize {
    std::env::var("KILLS").map_or(20, |text| text.parse().expect("a number of kills"))
}

const CLIENTS: usize = 4;

/// What the server acknowledged.
enum Kept {
    Registration(String),
    Logout(String),
}

#[test]
fn d01_every_acknowledged_registration_and_logout_survives_a_kill() {
    // argon2id takes a fifth of the time, and hashing is not what is tested.
    let home = Home::new().with("DOORWARD_PASSWORD_ALGORITHM", "argon2id");
    let mut kept = Vec::new();
    for round in 0..kills() {
        let server = home.serve(&["--no-throttle"]);
        let begun = kept.len();
        // In some rounds killed after one act, in others during the tenth; all clients are at work then.
        kept.extend(visited_until_killed(server, round, 1 + round % 10));
        let server = home.serve(&["--no-throttle"]);
        check(&server, &kept[begun..]);
        server.kill();
    }
    assert!(kept.len() >= kills());
    check(&home.serve(&["--no-throttle"]), &kept);
}

/// Lets clients register and log out; kills the server once it has acknowledged `enough`, and returns all acknowledged
/// ones.
fn visited_until_killed(server: Server, round: usize, enough: usize) -> Vec<Kept> {
    let (acknowledged, kept): (Sender<Kept>, Receiver<Kept>) = channel();
    let address = server.address.clone();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (acknowledged, address) = (acknowledged.clone(), &address);
            scope.spawn(move || visit(address, &format!("r{round}c{client}"), &acknowledged));
        }
        drop(acknowledged);
        let mut all: Vec<Kept> = kept.iter().take(enough).collect();
        assert_eq!(all.len(), enough, "the clients stopped before the kill");
        server.kill();
        all.extend(kept.iter());
        all
    })
}

/// Registers one person after another, logs every second one out again, and stops when the server is gone.
fn visit(address: &str, name: &str, acknowledged: &Sender<Kept>) {
    for number in 0.. {
        let email = format!("{name}n{number}@example.org");
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let Ok(answer) = send(address, "POST", "/register", "", Some(body)) else { return };
        assert_eq!(answer.status, 201, "{answer:?}");
        acknowledged.send(Kept::Registration(email)).unwrap();
        if number % 2 == 0 {
            let token = answer.token();
            let Ok(answer) = send(address, "POST", "/logout", &token, None) else { return };
            assert_eq!(answer.status, 200, "{answer:?}");
            acknowledged.send(Kept::Logout(token)).unwrap();
        }
    }
}

fn check(server: &Server, kept: &[Kept]) {
    let address = server.address.as_str();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let Some(one) = kept.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check_one(address, one);
                }
            });
        }
    });
}

fn check_one(address: &str, kept: &Kept) {
    match kept {
        Kept::Registration(email) => {
            let body = json!({ "email": email, "password": PASSWORD });
            let answer = send(address, "POST", "/login", "", Some(body)).unwrap();
            assert_eq!(answer.status, 200, "{email} is lost: {answer:?}");
        }
        Kept::Logout(token) => {
            assert_eq!(send(address, "GET", "/profile", token, None).unwrap().code(), "session_ended");
        }
    }
}
