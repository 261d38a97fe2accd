//! The program `doorward`: the server, and the command line beside it.
//!
//! The command line is one more node: it opens the same database and calls the same functions as the server. A running
//! server follows within a second. A command reads its arguments, calls and prints; it holds no rule.

mod args;
mod commands;
mod failure;
mod output;
mod password;
mod place;
mod queue;
#[cfg(test)]
mod reference;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let code = match args::Cli::try_parse().map(commands::run) {
        Ok(Ok(answer)) => output::show(&answer),
        Ok(Err(failure)) => output::fail(&failure),
        Err(usage) => output::usage(&usage),
    };
    queue::finish();
    code
}
