//! Files that this process writes for its owner alone, and that survive a power cut.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};

/// Why a file can't be written.
pub(crate) enum NotWritable {
    /// The system says so, as it does of a symbolic link.
    Failed(std::io::Error),
    /// It is a pipe, or a file that somebody else owns or that has another name too. Writing to it could change
    /// another file, or show somebody what is written.
    NotOurs,
    /// Another process writes it, or did a moment ago.
    Busy,
}

impl From<std::io::Error> for NotWritable {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Opens the file to read and write it, or makes it, for this process alone. What is in it is left as it is.
///
/// # Errors
/// [`NotWritable`].
pub(crate) fn open(path: &Path) -> Result<File, NotWritable> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() || found.nlink() > 1 {
        return Err(NotWritable::NotOurs);
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| NotWritable::Busy)?;
    // The process that had the lock before may have given the file another name.
    let (found, named) = (file.metadata()?, path.symlink_metadata());
    match named {
        Ok(named) if (named.dev(), named.ino(), named.nlink()) == (found.dev(), found.ino(), 1) => Ok(file),
        _ => Err(NotWritable::Busy),
    }
}

/// Takes the rights of others away from a file that was there already.
///
/// # Errors
/// The system's.
pub(crate) fn make_private(file: &File) -> std::io::Result<()> {
    Ok(fchmod(file, Mode::RUSR | Mode::WUSR)?)
}

/// Waits until the names in the folder of this file are on the disk.
///
/// # Errors
/// The system's.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
