//! Whether the time of an answer tells who has an account: classes of requests in turns, their medians, and how well one
//! measurement tells one class from another (the area under the ROC curve: 0.5 is a coin, 1 is certainty).

use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;
use crate::http::{Connection, post};
use crate::requests::median;
use crate::server::{Cores, Server, Signing};
use crate::users::{Mode, PASSWORD, email, register};

/// Requests of one class.
const EACH: usize = 2_000;
/// Users whose addresses are known.
const KNOWN: usize = 20;

/// A class of requests: what it is called, and the body of the n-th.
type Class = (&'static str, fn(usize) -> Value);

const WRONG: &str = "wrong horse battery staple!!";

const LOGIN: [Class; 3] = [
    ("known address, wrong password", |n| json!({ "email": email(n % KNOWN), "password": WRONG })),
    ("unknown address", |n| json!({ "email": format!("nobody{n}@example.org"), "password": WRONG })),
    (
        "known, wrong and of another length",
        |n| json!({ "email": email(n % KNOWN), "password": "w".repeat(60) }),
    ),
];

/// The answer to a wrong invitation; with open registration the status tells it anyway.
const REGISTER: [Class; 2] = [
    ("known address", |n| registration(&email(n % KNOWN))),
    ("unknown address", |n| registration(&format!("nobody{n}@example.org"))),
];

const RESET: [Class; 2] = [
    ("link of nobody", |n| reset(format!("{n:043}"))),
    ("text that is no link", |n| reset(format!("{n:042}"))),
];

fn registration(email: &str) -> Value {
    json!({ "name": "Ada", "email": email, "password": PASSWORD, "invite": "A".repeat(43) })
}

fn reset(token: String) -> Value {
    json!({ "token": token, "new_password": PASSWORD })
}

/// Prints the table.
pub(crate) fn measure(cores: Cores) -> Result<()> {
    let server = Server::doorward(cores, Signing::Default)?;
    for number in 0..KNOWN {
        register(&server, number, Mode::Bearer)?;
    }
    println!(
        "{EACH} requests of each class in turns.\n\n{:60} {:>10} {:>8} {:>6}",
        "", "median, ms", "gap", "AUC"
    );
    compare(&server, "/password/reset", &RESET)?;
    compare(&server, "/register", &REGISTER)?;
    compare(&server, "/login", &LOGIN)
}

/// Times the classes in turns, and compares each with the first.
fn compare(server: &Server, path: &str, classes: &[Class]) -> Result<()> {
    let mut connection = Connection::open(server.address)?;
    let mut times = vec![Vec::with_capacity(EACH); classes.len()];
    for round in 0..EACH {
        // Each class comes first, second and so on equally often.
        for turn in 0..classes.len() {
            let at = (turn + round) % classes.len();
            let (Some((_, body)), Some(times)) = (classes.get(at), times.get_mut(at)) else { continue };
            let request = post(path, &body(round));
            let began = Instant::now();
            let status = connection.exchange(&request)?.status.to_owned();
            times.push(began.elapsed().as_secs_f64() * 1e3);
            if !status.starts_with('4') {
                return Err(format!("{path}: {status}").into());
            }
        }
    }
    let Some(first) = times.first() else { return Ok(()) };
    for ((name, _), class) in classes.iter().zip(&times) {
        let (middle, gap) = (median(class.clone()), median(class.clone()) - median(first.clone()));
        println!("{:60} {middle:>10.3} {gap:>8.3} {:>6.3}", format!("{path}: {name}"), auc(first, class));
    }
    Ok(())
}

/// How often a value of one is above one of the other, ties half; which is above doesn't matter.
fn auc(one: &[f64], other: &[f64]) -> f64 {
    let mut sorted = one.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = |value: &f64| {
        let below = sorted.partition_point(|one| one < value);
        let not_above = sorted.partition_point(|one| one <= value);
        (below + not_above) as f64 / 2.0
    };
    let area = other.iter().map(above).sum::<f64>() / (one.len() * other.len()) as f64;
    area.max(1.0 - area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_alike_are_a_coin_and_others_are_told_apart() {
        let (low, high) = ([1.0, 2.0, 3.0], [4.0, 5.0]);
        assert!((auc(&low, &low) - 0.5).abs() < 1e-9);
        assert!((auc(&low, &high) - 1.0).abs() < 1e-9);
        assert!((auc(&high, &low) - 1.0).abs() < 1e-9);
        assert!((auc(&[1.0, 3.0], &[2.0, 2.0]) - 0.5).abs() < 1e-9);
    }
}
