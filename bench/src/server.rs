//! A server under test: started on the core that is the servers' alone, watched through /proc, ended when dropped.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

use crate::Result;

/// A secret for HS256, 32 bytes like a real one.
pub(crate) const JWT_SECRET: &str = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";

/// The root secret of all nodes of a run.
const ROOT_SECRET: &str = "root T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0";

/// The secret of the feed of revocations.
pub(crate) const FEED_SECRET: &str = "feed T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0";

/// Which core is for what.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    /// The servers', and the one on which hashes are timed.
    pub(crate) servers: usize,
    /// The load generator's.
    pub(crate) load: usize,
    /// Whether servers have both.
    are_shared: bool,
}

impl Cores {
    /// Takes the first two cores that this process may use, and moves it to the second.
    pub(crate) fn take() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let (Some(servers), Some(load)) = (cores.next(), cores.next()) else {
            return Err("two cores are needed, one for the servers and one for the load".into());
        };
        pin(&[load])?;
        Ok(Self { servers, load, are_shared: false })
    }

    /// Starts a program on the servers' cores, where it stays.
    fn of_servers<T: Send>(self, start: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.are_shared { on(&[self.servers, self.load], start) } else { self.on_servers(start) }
    }

    /// The same with servers on both cores, beside the load.
    pub(crate) fn both(self) -> Self {
        Self { are_shared: true, ..self }
    }

    /// Does some work on the servers' core. A process that it starts stays there.
    pub(crate) fn on_servers<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on(&[self.servers], work)
    }
}

/// Does some work on these cores.
fn on<T: Send>(cores: &[usize], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| pin(cores).and_then(|()| work()));
        thread.join().map_err(|_| "a thread panicked")?
    })
}

fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

/// How Doorward signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    /// HS256, under a `JWT_SECRET`.
    Hs256,
    /// ES256, as without any setting.
    Default,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _data: Arc<TempDir>,
}

impl Server {
    /// Starts the yardstick.
    pub(crate) fn axum_hello(cores: Cores) -> Result<Self> {
        Self::start(cores, Command::new(program("axum-hello")?), Arc::new(TempDir::new()?))
    }

    /// Starts Doorward in an empty folder.
    pub(crate) fn doorward(cores: Cores, signing: Signing) -> Result<Self> {
        Self::doorward_with(cores, signing, &[])
    }

    /// The same with further arguments.
    pub(crate) fn doorward_with(cores: Cores, signing: Signing, arguments: &[&str]) -> Result<Self> {
        Self::doorward_over(cores, signing, Arc::new(TempDir::new()?), arguments)
    }

    /// The same over the data that is there.
    pub(crate) fn doorward_over(
        cores: Cores,
        signing: Signing,
        data: Arc<TempDir>,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut command = Self::command(signing, &data)?;
        command.args(arguments);
        Self::start(cores, command, data)
    }

    /// Starts a node of this program with these variables, in an empty folder; all nodes have the same secrets.
    pub(crate) fn node(cores: Cores, program: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::node_over(cores, program, variables, Arc::new(TempDir::new()?))
    }

    /// The same in this folder.
    pub(crate) fn node_over(
        cores: Cores,
        program: &Path,
        variables: &[(&str, &str)],
        data: Arc<TempDir>,
    ) -> Result<Self> {
        let mut command = Self::command_of(program, Signing::Hs256, &data);
        command.env("DOORWARD_SECRET", ROOT_SECRET).envs(variables.iter().copied());
        Self::start(cores, command, data)
    }

    /// Starts Doorward with this variable, in an empty folder.
    pub(crate) fn doorward_setting(cores: Cores, signing: Signing, name: &str, value: &str) -> Result<Self> {
        let data = Arc::new(TempDir::new()?);
        let mut command = Self::command(signing, &data)?;
        command.env(name, value);
        Self::start(cores, command, data)
    }

    /// As people run it, but for limits and plain http: a development server would also show each request.
    fn command(signing: Signing, data: &TempDir) -> Result<Command> {
        Ok(Self::command_of(&program("doorward")?, signing, data))
    }

    fn command_of(program: &Path, signing: Signing, data: &TempDir) -> Command {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-throttle", "--data"]).arg(data.path());
        for (name, _) in std::env::vars_os() {
            if name == "JWT_SECRET" || name == "RUST_LOG" || name.as_encoded_bytes().starts_with(b"DOORWARD_")
            {
                command.env_remove(name);
            }
        }
        command.env("DOORWARD_FEED_SECRET", FEED_SECRET).env("DOORWARD_HTTP_PLAIN", "true");
        if signing == Signing::Hs256 {
            command.env("JWT_SECRET", JWT_SECRET);
        }
        command
    }

    /// Starts nginx as one process on this port.
    pub(crate) fn nginx(cores: Cores, port: u16, http: &str) -> Result<Self> {
        let data = TempDir::new()?;
        let folder = data.path().display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places: String = kinds.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).concat();
        let text = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
             events {{ worker_connections 4096; }}
             http {{ access_log off; {places} {http} }}"
        );
        fs::write(data.path().join("nginx.conf"), text)?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(data.path().join("log")).arg("-c").arg(data.path().join("nginx.conf"));
        let child = cores.on_servers(|| Ok(command.stdin(Stdio::null()).spawn()?))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Self { child, address, _data: Arc::new(data) };
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("nginx did not start".into())
    }

    /// Starts the example that the Doorward at this address protects.
    pub(crate) fn axum_app(cores: Cores, doorward: SocketAddr) -> Result<Self> {
        let mut command = Command::new(program("axum-app")?);
        command.arg("127.0.0.1:0").arg(format!("http://{doorward}"));
        command.env("DOORWARD_FEED_SECRET", FEED_SECRET);
        Self::start(cores, command, Arc::new(TempDir::new()?))
    }

    fn start(cores: Cores, mut command: Command, data: Arc<TempDir>) -> Result<Self> {
        let errors = data.path().with_extension("stderr");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&errors)?);
        let child = cores.of_servers(|| Ok(command.spawn()?));
        let said = Said(errors);
        let mut child = child.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let address = first_url(&mut child);
        let mut server = Self { child, address: SocketAddr::from(([0; 4], 0)), _data: data };
        server.address = address.map_err(|error| format!("no server: {error}. It said:\n{}", said.text()))?;
        Ok(server)
    }

    /// User and system time that it has used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_of_stat(&stat).ok_or_else(|| format!("cannot read {stat}").into())
    }

    /// Resident memory, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(resident.trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
    }
}

impl Server {
    /// Ends it.
    pub(crate) fn stop(&mut self) {
        // A process that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a server wrote to its standard error, into a file that is removed with this.
struct Said(PathBuf);

impl Said {
    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A program that was built beside this one.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name.as_ref()))
}

fn first_url(child: &mut Child) -> Result<SocketAddr> {
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        if let Some((_, url)) = line.split_once("http://") {
            let end = url.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(url.len());
            let address = url.get(..end).unwrap_or_default().parse()?;
            // A full pipe would stop the server.
            std::thread::spawn(move || io::copy(&mut output, &mut io::sink()));
            return Ok(address);
        }
        line.clear();
    }
    Err("it ended without saying where it listens".into())
}

/// Fields 14 and 15 of proc_pid_stat(5), in the hundredths of a second that Linux counts for programs.
fn cpu_of_stat(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(cpu_of_stat(stat), Some(Duration::from_secs(2)));
    }
}
