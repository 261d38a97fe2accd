//! `doorward serve`: the server, until a signal stops it.

use std::net::SocketAddr;

use clap::Args;
use doorward::internals::settings::{RootSource, Settings};
use doorward::internals::store::Database;
use doorward::internals::{App, Clock, Listening};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use crate::failure::Failure;
use crate::output::{Answer, announce, unwritten};
use crate::place::{Place, secrets};
use crate::queue;
use crate::telemetry::{self, Speaker};

/// Run the server
///
/// The first URL on its output is the address that it really listens on. SIGTERM or Ctrl-C lets open requests finish
/// and ends it; a second signal ends it at once. The log goes to standard error.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The address to listen on; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Development mode, on a loopback address and a database of its own: shows everybody on this machine what each
    /// request does, and sends cookies without `Secure`
    #[arg(long)]
    dev: bool,
    /// How long an access token lives [default: 15m]
    #[arg(long, value_name = "SPAN")]
    access_ttl: Option<String>,
    /// How long a refresh token lives from its last use [default: 30d]
    #[arg(long, value_name = "SPAN")]
    refresh_ttl: Option<String>,
    /// The URL under which people reach Doorward; needed beyond loopback
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A path that all routes stand below, such as /auth
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// For load tests on a loopback address: limit neither guesses nor registrations
    #[arg(long)]
    no_throttle: bool,
    /// The PEM file of the certificate and its chain, to speak TLS
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The PEM file of the certificate's private key
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// The address of the listener for metrics [default: none]
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// The form of the log: text, json or auto [default: auto]
    #[arg(long, value_name = "FORM")]
    log_format: Option<String>,
    /// How much is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Serve {
    pub(crate) fn run(self, mut place: Place) -> Outcome {
        // First of all: the server must not wait for a reader of standard error.
        let queue = queue::start()?;
        place.flags = self.flags();
        let settings = place.settings()?;
        telemetry::start(&settings, Speaker::Server(queue));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(settings))?;
        // Tasks that still run after the drain time are abandoned.
        runtime.shutdown_background();
        Ok(Answer::text(""))
    }

    fn flags(self) -> Vec<(&'static str, String, &'static str)> {
        let yes = |set: bool, value: &str| set.then(|| value.to_owned());
        let flags = [
            ("listen", self.listen, "--listen"),
            ("dev", yes(self.dev, "true"), "--dev"),
            ("access.ttl", self.access_ttl, "--access-ttl"),
            ("refresh.ttl", self.refresh_ttl, "--refresh-ttl"),
            ("public_url", self.public_url, "--public-url"),
            ("base_path", self.base_path, "--base-path"),
            ("throttle.enabled", yes(self.no_throttle, "false"), "--no-throttle"),
            ("tls.cert", self.tls_cert, "--tls-cert"),
            ("tls.key", self.tls_key, "--tls-key"),
            ("metrics.listen", self.metrics_listen, "--metrics-listen"),
            ("log.format", self.log_format, "--log-format"),
            ("log.level", self.log_level, "--log-level"),
        ];
        flags.into_iter().filter_map(|(key, value, flag)| Some((key, value?, flag))).collect()
    }
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    // Before anything is created, so that an early signal is not lost.
    let mut stop = Stop::new()?;
    settings.make_data_folder()?;
    let secrets = secrets(&settings)?;
    let source = secrets.root_source.clone();
    let app = tokio::select! {
        opened = App::open(settings, secrets, Clock::system()) => opened?,
        // The server may be waiting for its database.
        _ = stop.next() => return Ok(()),
    };
    let listening =
        Listening::bind(&app).await.map_err(|error| cannot_listen(app.settings.listen, &error))?;
    for (what, hint) in app.settings.advice() {
        tracing::warn!("{what}: {hint}");
    }
    let address = listening.address()?;
    let greeting = greeting(&app, address, listening.metrics_address(), &source).await?;
    announce(greeting.join("\n")).map_err(|error| unwritten(&error))?;
    tracing::info!(%address, "listening");
    listening.serve(stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Why the server can't listen, and what to do.
pub(super) fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    let problem = match error.kind() {
        std::io::ErrorKind::InvalidData => format!("tls: {error}"),
        _ => format!("cannot listen on {address}: {error}"),
    };
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program does; stop it, or choose another port with --listen"
        }
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose one from 1024 on",
        std::io::ErrorKind::InvalidData => {
            "see that --tls-cert and --tls-key name PEM files that belong together"
        }
        _ => "choose an address of this machine with --listen",
    };
    Failure::new(problem, hint)
}

/// The first lines: the address, the data folder and, while there is no admin, how to make the first one.
async fn greeting(
    app: &App,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    source: &RootSource,
) -> Result<Vec<String>, Failure> {
    let settings = &app.settings;
    // Scripts read the first URL; people in development mode begin with the second.
    let tour = app.tour_url(address).map(|url| format!(" and its tour begins at {url}")).unwrap_or_default();
    let (scheme, base) = (settings.scheme(), &settings.base_path);
    let mut lines = vec![format!("Doorward is listening on {scheme}://{address}{base}{tour}")];
    if let Some(url) = &settings.public_url {
        let url = url.as_str().trim_end_matches('/');
        lines.push(format!("People reach it under {url}{}", settings.base_path));
    }
    lines.push(match settings.database() {
        Database::Sqlite(_) => format!("Its data is in {}", settings.data.display()),
        Database::Memory => "Its data is in memory".to_owned(),
        Database::Postgres { .. } => "Its data is in PostgreSQL".to_owned(),
    });
    if let RootSource::Made(path) = source {
        lines.push(format!("Keep a copy of {}: without it the data is of no use", path.display()));
    }
    if settings.dev {
        lines.push(
            "This is development mode (--dev): each program on this machine can see every request".to_owned(),
        );
    }
    if !app.users.have_admin().await? {
        let place = settings.place_flags();
        lines.push(format!(
            "There is no admin yet. Make one: doorward user create --role admin --email E --name N{place}"
        ));
    }
    lines.extend(metrics.map(|address| format!("Metrics are at http://{address}/metrics")));
    Ok(lines)
}

/// The signals that stop the server.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes with the first signal; from then on the next one ends the process at once.
    async fn requested(mut self) {
        let code = self.next().await;
        tracing::info!("stopping: open requests may finish; another signal ends them");
        tokio::spawn(async move {
            self.next().await;
            queue::finish();
            std::process::exit(code);
        });
    }

    /// Waits for a signal, and returns the exit code of a process that it killed.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
        }
    }
}
