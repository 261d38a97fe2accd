//! Measures Doorward against its goals, each figure a ratio within this one run.
//!
//! `bench/run` builds and starts it; `bench/README.md` says how to read what it prints.

mod feed;
mod flows;
mod guard;
mod hostile;
mod http;
mod load;
mod logins;
mod logouts;
mod micro;
mod open_loop;
mod pairs;
mod phases;
mod proxies;
mod relay;
mod requests;
mod server;
mod sign_ins;
mod table;
mod users;
mod writes;

use std::process::ExitCode;
use std::time::Duration;

use crate::server::Cores;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// How long a run is.
#[derive(Clone, Copy)]
struct Effort {
    /// Rounds of everything that is measured under load.
    rounds: usize,
    /// One load of one round.
    span: Duration,
    /// Starts, and rounds of the micro benchmarks.
    repeats: usize,
}

const FULL: Effort = Effort { rounds: 25, span: Duration::from_millis(700), repeats: 40 };
const QUICK: Effort = Effort { rounds: 5, span: Duration::from_millis(700), repeats: 15 };

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let measured = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => measure(FULL),
        ["--quick"] => measure(QUICK),
        ["--hostile"] => Cores::take().and_then(|cores| hostile::measure(cores, FULL)),
        ["--feed"] => Cores::take().and_then(feed::measure),
        ["--flows"] => Cores::take().and_then(|cores| {
            table::title();
            flows::measure(cores, FULL)
        }),
        ["--writes"] => Cores::take().and_then(|cores| writes::measure(cores, None)),
        ["--writes", "--before", program] => {
            Cores::take().and_then(|cores| writes::measure(cores, Some(program.into())))
        }
        ["--forward-auth"] => Cores::take().and_then(|cores| {
            table::title();
            proxies::measure(cores, QUICK)
        }),
        ["--sign-ins"] => Cores::take().and_then(|cores| {
            table::title();
            sign_ins::measure(cores, QUICK)
        }),
        ["--logouts"] => Cores::take().and_then(logouts::measure),
        _ => {
            eprintln!(
                "error: unknown arguments\nhint: doorward-bench [--quick | --hostile | --logouts | --feed | --flows | --forward-auth | --sign-ins | --writes [--before PROGRAM]]"
            );
            return ExitCode::from(2);
        }
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(effort: Effort) -> Result<()> {
    let cores = Cores::take()?;
    println!(
        "Servers on core {}, load on core {}, {} keep-alive connections, {} rounds of {} ms, in turns.\n",
        cores.servers,
        cores.load,
        load::CONNECTIONS,
        effort.rounds,
        effort.span.as_millis()
    );
    table::title();
    phases::tokens(effort)?;
    guard::check(effort)?;
    phases::size()?;
    phases::start(cores, effort)?;
    requests::measure(cores, effort)?;
    proxies::measure(cores, effort)?;
    guard::route(cores, effort)?;
    phases::logins(cores, effort)?;
    sign_ins::storm(cores, effort)
}
