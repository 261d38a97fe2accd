use std::io::{BufRead, IsTerminal, Read};

use clap::Args;
use doorward::internals::english;
use doorward_core::password::Password;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// More than the longest password, however it is composed, and its line end.
const LONGEST_LINE: u64 = 4_096;

/// Where a password comes from: never from an argument, which every user of the machine can read.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Source {
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

impl Source {
    /// A new password, typed twice; `None` if there is none and no terminal to ask at.
    pub(crate) fn new_password(self) -> Result<Option<Password>, Failure> {
        if self.password_stdin {
            return from_stdin().map(Some);
        }
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        let typed = prompt("New password: ")?;
        if typed != prompt("Once more: ")? {
            return Err(Failure::new("the two passwords differ", "nothing was changed; try again"));
        }
        password(&typed).map(Some)
    }

    /// A new password, which must be given.
    pub(crate) fn required(self) -> Result<Password, Failure> {
        self.new_password()?.ok_or_else(|| {
            Failure::new("there is no terminal to ask for the password at", "give it with --password-stdin")
        })
    }
}

/// A password to try or to hash: asked for at a terminal, otherwise the first line of standard input.
pub(crate) fn any() -> Result<Password, Failure> {
    if std::io::stdin().is_terminal() { password(&prompt("Password: ")?) } else { from_stdin() }
}

/// The first line of standard input, without its line end.
pub(crate) fn first_line(longest: u64) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(usize::try_from(longest).unwrap_or_default()));
    let read = std::io::stdin().lock().take(longest).read_line(&mut line);
    read.map_err(|error| Failure::new(format!("cannot read standard input: {error}"), ""))?;
    let text = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(text);
    Ok(line)
}

fn from_stdin() -> Result<Password, Failure> {
    let line = first_line(LONGEST_LINE)?;
    if line.is_empty() {
        return Err(Failure::new("there is no password on standard input", "write it as the first line"));
    }
    password(&line)
}

fn prompt(text: &str) -> Result<Zeroizing<String>, Failure> {
    let typed = rpassword::prompt_password(text).map(Zeroizing::new);
    typed.map_err(|error| Failure::new(format!("cannot ask for a password: {error}"), "use --password-stdin"))
}

fn password(typed: &str) -> Result<Password, Failure> {
    Password::new(typed)
        .map_err(|error| Failure::new(format!("the password {}", english(&error.message())), ""))
}
