//! Everything that is measured but requests under load: each prints its rows of the table.

use std::time::Instant;

use crate::http::{Connection, get};
use crate::logins;
use crate::micro;
use crate::pairs::{Pairs, median};
use crate::server::{Cores, Server, Signing, program};
use crate::table::{Goal, row};
use crate::{Effort, Result};

/// Signing and checking a token, in process.
pub(crate) fn tokens(effort: Effort) -> Result<()> {
    let micro::Tokens { verify, sign, bytes } = micro::tokens(effort.repeats * 5)?;
    let from = |took: &Pairs| {
        format!("{:.0} / {:.0} ns, medians; HMAC-SHA256 of {bytes} bytes", took.ours(), took.yardstick())
    };
    row("HS256 verify, all checks / floor", verify.ratio(), Goal::AtMost(3.0), &from(&verify));
    row("HS256 sign / floor", sign.ratio(), Goal::AtMost(2.5), &from(&sign));
    Ok(())
}

/// The program on the disk.
pub(crate) fn size() -> Result<()> {
    let bytes = std::fs::metadata(program("doorward")?)?.len();
    row("stripped binary, all features, MB", bytes as f64 / 1e6, Goal::AtMost(16.0), "");
    Ok(())
}

/// From the start of the process in an empty folder to the first answer.
pub(crate) fn start(cores: Cores, effort: Effort) -> Result<()> {
    let mut took = Vec::new();
    for _ in 0..effort.repeats {
        let began = Instant::now();
        let server = Server::doorward(cores, Signing::Default)?;
        let answer = Connection::open(server.address)?.exchange(&get("/healthz", ""))?.status == "200";
        if !answer {
            return Err("/healthz is not 200 once the address is printed".into());
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let from = format!("median of {}, the folder empty", took.len());
    row("start to first 200, SQLite made, ms", median(took), Goal::AtMost(50.0), &from);
    Ok(())
}

/// Sign-ins a second against what the hash alone would allow on the server's one core.
pub(crate) fn logins(cores: Cores, effort: Effort) -> Result<()> {
    let server = Server::doorward(cores, Signing::Default)?;
    logins::register_all(&server)?;
    let mut rates = Pairs::default();
    for _ in 0..effort.rounds {
        let hashes = 1.0 / cores.on_servers(|| Ok(micro::bcrypt(effort.span * 3)))?;
        rates.push(logins::for_a_while(&server, logins::USERS, effort.span * 3)?.rate(), hashes);
    }
    let from = format!("{:.1} logins/s, {:.1} hashes/s, medians", rates.ours(), rates.yardstick());
    row("logins / (cores / hash time of the bcrypt crate)", rates.ratio(), Goal::AtLeast(2.5), &from);
    Ok(())
}
