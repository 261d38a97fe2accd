//! `doorward calibrate`: how long hashing takes on this machine.

use std::time::{Duration, Instant};

use clap::Args;
use doorward_core::password::Password;
use doorward_core::password_hash::{Argon2Params, HashAlgorithm, HashPolicy, Scratch, describe, hash};
use serde::Serialize;

use super::Outcome;
use crate::failure::Failure;
use crate::output::Answer;

/// Long enough to cost a thief, short enough for somebody who signs in.
const TARGET: Duration = Duration::from_millis(250);
/// The fastest of this many runs counts: other work on the machine only slows a run down.
const RUNS: u32 = 3;

/// Measure how long hashing takes here, and recommend a setting
///
/// On a quiet machine, with the program that will run there: a debug build says little.
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Measured {
    hash: String,
    milliseconds: f64,
    per_second_and_core: u64,
    setting: String,
    recommended: bool,
}

impl Calibrate {
    pub(crate) fn run(self) -> Outcome {
        let mut measured = Vec::new();
        for cost in 10..=16 {
            let one = measure(HashAlgorithm::Bcrypt, cost, format!("password.bcrypt_cost = {cost}"))?;
            let too_long = one.milliseconds > TARGET.as_secs_f64() * 1_000.0;
            measured.push(one);
            if too_long {
                break;
            }
        }
        // The highest cost within the target; at least 10, even if that takes longer.
        let within = |one: &Measured| one.milliseconds <= TARGET.as_secs_f64() * 1_000.0;
        let best = measured.iter().rposition(within).unwrap_or(0);
        if let Some(one) = measured.get_mut(best) {
            one.recommended = true;
        }
        measured.push(measure(HashAlgorithm::Argon2id, 10, "password.algorithm = \"argon2id\"".into())?);
        let answer = Answer::rows(
            &measured,
            &["hash", "milliseconds", "per_second_and_core", "setting", "recommended"],
            self.json,
        )?;
        if self.json {
            return Ok(answer);
        }
        Ok(Answer::text(format!("{}\n{}", answer.text, ADVICE)))
    }
}

const ADVICE: &str = "Recommended is the highest bcrypt cost within 250 ms. argon2id is as good a choice: it costs a thief \
memory too,\nand more people can sign in at once. Existing hashes are made anew at the next sign-in.";

fn measure(algorithm: HashAlgorithm, cost: u32, setting: String) -> Result<Measured, Failure> {
    let failed = |problem: String| Failure::new(format!("cannot measure: {problem}"), "");
    let policy = HashPolicy::new(algorithm, cost, Argon2Params::default())
        .map_err(|error| failed(error.to_string()))?;
    let password = Password::new("measured, never used").map_err(|error| failed(error.to_string()))?;
    let (mut fastest, mut kind, mut scratch) = (Duration::MAX, String::new(), Scratch::default());
    for _ in 0..RUNS {
        let start = Instant::now();
        let made =
            hash(&password, &policy, [7; 16], &mut scratch).map_err(|error| failed(error.to_string()))?;
        fastest = fastest.min(start.elapsed());
        kind = describe(&made).map_err(|error| failed(error.to_string()))?.to_string();
    }
    let milliseconds = (fastest.as_secs_f64() * 10_000.0).round() / 10.0;
    let per_second_and_core = (1.0 / fastest.as_secs_f64().max(1e-9)) as u64;
    Ok(Measured { hash: kind, milliseconds, per_second_and_core, setting, recommended: false })
}
