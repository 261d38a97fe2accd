use std::path::PathBuf;

use clap::Args;
use doorward::internals::settings::{Origin, Secrets, Settings, Values};
use doorward::internals::store::Database;
use doorward::internals::{App, Clock};

use crate::failure::Failure;
use crate::telemetry::{self, Speaker};

/// Where the data and the settings are: on every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where the data and the settings are")]
pub(crate) struct Place {
    /// The folder of the secret and of the SQLite database [default: ./doorward-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<String>,
    /// A PostgreSQL URL; without one the database is SQLite in the data folder
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// The file of settings [default: ./doorward.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any setting, such as `--set access.ttl=5m`; `doorward config print` lists them all
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The command's own flags, as key, value and flag.
    #[arg(skip)]
    pub(crate) flags: Vec<(&'static str, String, &'static str)>,
}

impl Place {
    /// The values of all settings: the defaults, then the file, the variables and the flags.
    pub(crate) fn values(&self) -> Result<Values, Failure> {
        let mut values = Values::default();
        if let Some((path, text)) = self.file()? {
            values.file(&path, &text)?;
        }
        values.own_environment()?;
        let own = [("data", &self.data, "--data"), ("database", &self.database, "--database")];
        let own = own.into_iter().filter_map(|(key, value, flag)| Some((key, value.as_ref()?, flag)));
        for (key, value, flag) in own.chain(self.flags.iter().map(|(key, value, flag)| (*key, value, *flag)))
        {
            values.set(key, value, Origin::Flag(flag.into()))?;
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Failure::new(format!("--set {pair}: there is no value"), "such as --set access.ttl=5m")
            })?;
            values.set(key.trim(), value, Origin::Flag("--set".into()))?;
        }
        Ok(values)
    }

    /// The settings, read and checked.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::read(&self.values()?)?)
    }

    /// Opens an existing installation, and makes nothing if there is none.
    pub(crate) async fn open(&self) -> Result<App, Failure> {
        let settings = self.settings()?;
        existing(&settings)?;
        open(settings).await
    }

    /// Opens the installation, and makes what is missing: data folder, secret, database.
    pub(crate) async fn open_or_make(&self) -> Result<App, Failure> {
        let settings = self.settings()?;
        settings.make_data_folder()?;
        open(settings).await
    }

    fn file(&self) -> Result<Option<(PathBuf, String)>, Failure> {
        let named = self.config.clone().or_else(|| std::env::var_os("DOORWARD_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from("doorward.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let problem = format!("cannot read the settings in {}: {error}", path.display());
                Err(Failure::new(problem, "name the file with --config"))
            }
        }
    }
}

/// Checks that there is an installation.
pub(crate) fn existing(settings: &Settings) -> Result<(), Failure> {
    if let Database::Sqlite(file) = settings.database() {
        let found = file.try_exists().map_err(|error| {
            let problem = format!("cannot look into {}: {error}", settings.data.display());
            Failure::new(problem, "run the command as the user that the server runs as")
        });
        if !found? {
            let problem = format!("there is no Doorward database in {}", settings.data.display());
            let hint = "name its folder with --data; `doorward serve` makes a new one";
            return Err(Failure::new(problem, hint));
        }
    }
    Ok(())
}

async fn open(settings: Settings) -> Result<App, Failure> {
    telemetry::start(&settings, Speaker::Command);
    let secrets = secrets(&settings)?;
    Ok(App::join(settings, secrets, Clock::system()).await?)
}

/// The secrets of the settings' data folder and of the environment.
pub(crate) fn secrets(settings: &Settings) -> Result<Secrets, Failure> {
    Ok(Secrets::read(settings, |name| std::env::var(name).ok())?)
}

/// The existing secrets; `None` if a first start would make one.
pub(crate) fn secrets_given(settings: &Settings) -> Result<Option<Secrets>, Failure> {
    Ok(Secrets::find(settings, |name| std::env::var(name).ok())?)
}
