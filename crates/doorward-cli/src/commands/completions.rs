//! `doorward completions`: for the shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Outcome;
use crate::args::Cli;
use crate::output::Answer;

/// Print a completion script for a shell
///
/// For bash: `source <(doorward completions bash)`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "doorward", &mut script);
        Ok(Answer::text(String::from_utf8_lossy(&script)))
    }
}
