//! Reads a state file, and writes it so that at any time there is a whole one: the old or the new.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::format::{Parsed, Record, SIZE_MAX};
use super::owner::Trouble;
use crate::error::system_text;

/// What is at the path of a state file.
pub enum Found {
    /// Nothing.
    Missing,
    /// A state file.
    Record(Record),
    /// A state file that is not whole. Nothing is lost if it is overwritten.
    Damaged,
    /// Something that must not be overwritten.
    Unusable(Trouble),
}

/// Reads what is at `path`. Waits for nothing but the disk: what is not a regular file is not read.
pub fn read(path: &Path) -> Found {
    match read_text(path) {
        Ok(text) => match Record::parse(&text) {
            Parsed::Record(record) => Found::Record(record),
            Parsed::Damaged => Found::Damaged,
            Parsed::OtherVersion => Found::Unusable(Trouble::OtherVersion),
            Parsed::Foreign => Found::Unusable(Trouble::Foreign),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Missing,
        Err(error) => Found::Unusable(Trouble::Unreadable(system_text(&error))),
    }
}

fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK to open a pipe waits for a writer. Through a link the file would be read, and the link
    // replaced when it is written. A terminal must not become that of this process.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match file {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(io::Error::other("it is a symbolic link"));
        }
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    // One byte more tells that there is more.
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut text)?;
    if text.len() > SIZE_MAX {
        return Err(io::Error::other(format!(
            "it has more than {SIZE_MAX} bytes"
        )));
    }
    Ok(text)
}

/// Writes a state file in place of what is at `path`.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path_of_new(path);
    let written = write_new(&new, text).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // A part of it would take room on a disk that is full.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // The name of the new file is on the disk only when its directory is.
    let directory = match path.parent() {
        Some(directory) => directory,
        None => Path::new("/"),
    };
    let directory = match File::open(directory) {
        // To write files there takes no right to list them. The system writes the name itself in a moment.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
        opened => opened?,
    };
    match directory.sync_all() {
        // Not every file system can do that for a directory.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        synced => synced,
    }
}

/// Where the new file is until it is whole: beside the old one, for only within one file system it can be renamed.
pub fn path_of_new(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

fn write_new(new: &Path, text: &str) -> io::Result<()> {
    // A process that was killed while it wrote has left a part.
    match fs::remove_file(new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // With O_EXCL a link that another process has put there is not followed.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
