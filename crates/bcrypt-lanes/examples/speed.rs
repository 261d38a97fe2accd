//! How long a hash takes with each number of lanes, beside the crate `bcrypt`: `cargo run --release --example speed`.
//! Prints the median of paired rounds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bcrypt_lanes::{Batch, Job, MOST_LANES};

const COST: u32 = 8;
const ROUNDS: usize = 41;

fn with_lanes(lanes: u8) -> Duration {
    let start = Instant::now();
    let mut batch = Batch::new();
    for n in 0..lanes {
        if let Ok(job) = Job::new(b"a password", [n; 16], COST) {
            let _ = batch.add(job, n);
        }
    }
    while !batch.is_empty() {
        black_box(batch.turn());
    }
    start.elapsed() / u32::from(lanes)
}

fn with_crate() -> Duration {
    let start = Instant::now();
    black_box(bcrypt::bcrypt(COST, [7; 16], b"a password\0"));
    start.elapsed()
}

fn main() {
    for lanes in 1..=MOST_LANES {
        let mut pairs: Vec<_> =
            (0..ROUNDS).map(|_| (with_crate(), with_lanes(u8::try_from(lanes).unwrap_or(1)))).collect();
        pairs.sort_by(|a, b| {
            (a.1.as_secs_f64() / a.0.as_secs_f64()).total_cmp(&(b.1.as_secs_f64() / b.0.as_secs_f64()))
        });
        let least =
            |which: fn(&(Duration, Duration)) -> Duration| pairs.iter().map(which).min().unwrap_or_default();
        let median =
            pairs.get(ROUNDS / 2).map_or(0.0, |(other, own)| own.as_secs_f64() / other.as_secs_f64());
        println!(
            "{lanes} lanes: {median:.3} of the crate's time a hash (least {:?} and {:?})",
            least(|p| p.1),
            least(|p| p.0)
        );
    }
}
