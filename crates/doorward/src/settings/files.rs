//! Files that hold secrets or accounts: who may read and write them.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use zeroize::Zeroizing;

use super::SettingsError;

/// Where container engines put secrets, with modes that cannot be chosen.
const OF_CONTAINERS: &str = "/run/secrets";
/// The most that is read from a file with a secret.
const MOST: u64 = 64 * 1024;

/// The content of a file with a secret.
pub(crate) struct SecretFile {
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// What to warn about, if others may read it and nothing can be done about that.
    pub(crate) warning: Option<String>,
}

impl SecretFile {
    /// Reads the file, unless others may read it too: PostgreSQL's rule for key files. A file of our own user gives
    /// nobody else any rights; root's file may be readable for one of our groups. Below `/run/secrets` and on a
    /// read-only mount it is enough that we may read it. The opened file is checked, whatever links lead to it.
    ///
    /// # Errors
    /// If others may read or write it, or it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, SettingsError> {
        let file = File::open(path).map_err(|error| unusable(path, &error))?;
        let found = file.metadata().map_err(|error| unusable(path, &error))?;
        let warning = judge(path, &file, &found)?;
        let mut content = Zeroizing::new(Vec::new());
        file.take(MOST + 1).read_to_end(&mut content).map_err(|error| unusable(path, &error))?;
        if content.len() as u64 > MOST {
            let problem = format!("{} is larger than {MOST} bytes", path.display());
            return Err(SettingsError::new(problem, "name the file that holds the secret and nothing else"));
        }
        Ok(Self { content, warning })
    }

    /// The text without the line ends after it.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub(crate) fn text(&self, path: &Path) -> Result<&str, SettingsError> {
        let text = str::from_utf8(&self.content);
        let text =
            text.map_err(|_| SettingsError::new(format!("{} is not valid UTF-8", path.display()), ""))?;
        Ok(text.trim_end_matches(['\r', '\n']))
    }
}

/// Checks that nobody else may read a file with accounts or secrets in it.
///
/// # Errors
/// If others may read or write it.
pub(crate) fn check_private(file: &File, path: &Path) -> Result<(), SettingsError> {
    let found = file.metadata().map_err(|error| unusable(path, &error))?;
    judge(path, file, &found).map(drop)
}

fn judge(path: &Path, file: &File, found: &Metadata) -> Result<Option<String>, SettingsError> {
    let (mode, me) = (found.permissions().mode() & 0o777, rustix::process::geteuid().as_raw());
    let allowed = if found.uid() == 0 && me != 0 { 0o740 } else { 0o700 };
    let owned = me == 0 || [0, me].contains(&found.uid());
    if owned && mode & !allowed == 0 {
        return Ok(None);
    }
    let cannot_be_written =
        fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY));
    let of_containers =
        path.canonicalize().is_ok_and(|path| path.starts_with(OF_CONTAINERS)) && mode & 0o022 == 0;
    if cannot_be_written || of_containers {
        return Ok(Some(format!("others on this machine may read {} (mode {mode:03o})", path.display())));
    }
    let shown = path.display();
    if !owned {
        let problem = format!("{shown} belongs to user id {}, who can change it", found.uid());
        return Err(SettingsError::new(problem, format!("chown {me} {shown} && chmod 600 {shown}")));
    }
    let what = if mode & 0o044 == 0 { "written" } else { "read" };
    let problem = format!("{shown} can be {what} by others (mode {mode:03o})");
    Err(SettingsError::new(problem, format!("chmod 600 {shown}")))
}

/// Checks that nobody else may write to the data folder or its files: anybody who can, controls every account.
///
/// A folder that is a mount point, such as Kubernetes' emptyDir, has the mode that the machine gave it. That is a
/// warning, which is returned.
///
/// # Errors
/// The file or folder that others may write to, and what to do.
pub(crate) fn check_data(folder: &Path) -> Result<Option<String>, SettingsError> {
    let Ok(found) = std::fs::metadata(folder) else { return Ok(None) };
    for (path, file) in files(folder)? {
        refuse_writers("file", &path, &file)?;
    }
    match refuse_writers("data folder", folder, &found) {
        Err(refused) if is_mount_point(folder, &found) => Ok(Some(refused.problem)),
        outcome => outcome.map(|()| None),
    }
}

/// The files in a folder, in the order of their names. Another process, such as SQLite, may remove one meanwhile.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Metadata)>, SettingsError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    let with_metadata = |entry: std::fs::DirEntry| {
        let path = entry.path();
        std::fs::metadata(&path).ok().filter(Metadata::is_file).map(|found| (path, found))
    };
    let mut files: Vec<_> = entries.flatten().filter_map(with_metadata).collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(files)
}

fn refuse_writers(kind: &str, path: &Path, found: &Metadata) -> Result<(), SettingsError> {
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o022 == 0 {
        return Ok(());
    }
    let problem = format!("the {kind} {} can be written by others (mode {mode:03o})", path.display());
    Err(SettingsError::new(problem, format!("chmod go-w {}", path.display())))
}

/// Whether another file system begins here.
fn is_mount_point(folder: &Path, found: &Metadata) -> bool {
    std::fs::metadata(folder.join("..")).is_ok_and(|above| above.dev() != found.dev())
}

pub(super) fn unusable(path: &Path, error: &std::io::Error) -> SettingsError {
    SettingsError::new(
        format!("cannot use {}: {error}", path.display()),
        "check that it is there, and that the user who runs this may read it",
    )
}
