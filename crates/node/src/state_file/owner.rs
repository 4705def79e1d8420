//! Whose state file it is, and what operators are told of one that is not used.
//!
//! The file of another instance is neither used nor overwritten. In a data directory that was copied from another
//! group there is one: with its members two groups would become one. Two instances that were given one path by
//! mistake would take turns in overwriting it.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::{self, Found};
use super::format::Record;
use swim::identity::uri::Uri;

/// How many names of this process are remembered whose file it is.
const OWNERS_MAX: usize = 8;

/// A state file, and which instances it may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// The URIs that this process has had while this was its file, the present one first.
    owners: Vec<Uri>,
}

/// Why a state file is not used, or not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not whole.
    Damaged,
    /// It is not a state file.
    Foreign,
    /// It is of another version of this module.
    OtherVersion,
    /// It cannot be read: the text of the system.
    Unreadable(String),
    /// It is of another instance.
    OtherUri(String),
    /// It cannot be written: the text of the system.
    Unwritable(String),
    /// The file that would take its place cannot be written: another one has its name.
    InTheWay(PathBuf),
}

impl Target {
    /// The file of `uri`.
    pub fn new(path: PathBuf, uri: &Uri) -> Self {
        let owners = vec![uri.clone()];
        Self { path, owners }
    }

    /// The same file, for a process that was something else and is `uri` now.
    pub fn with_owner(mut self, uri: &Uri) -> Self {
        self.owners.retain(|owner| owner != uri);
        self.owners.insert(0, uri.clone());
        self.owners.truncate(OWNERS_MAX);
        self
    }

    /// Whether this process may have written that.
    pub fn is_of(&self, record: &Record) -> bool {
        self.owners.iter().any(|owner| **owner == *record.uri)
    }

    /// Writes it, unless what is there is not of this instance.
    pub fn write(&self, record: &Record) -> Result<(), Trouble> {
        self.may_replace(&self.path)?;
        let new = disk::path_of_new(&self.path);
        match self.may_replace(&new) {
            Ok(()) => {}
            // There can be no file of this name: it is too long, for one.
            Err(Trouble::Unreadable(reason)) if fs::symlink_metadata(&new).is_err() => {
                return Err(Trouble::Unwritable(reason));
            }
            Err(_) => return Err(Trouble::InTheWay(new)),
        }
        let text = match record.to_text() {
            Ok(text) => text,
            Err(error) => return Err(Trouble::Unwritable(error.to_string())),
        };
        match disk::write(&self.path, &text) {
            Ok(()) => Ok(()),
            Err(error) => Err(Trouble::Unwritable(crate::error::system_text(&error))),
        }
    }

    /// Whether nothing but what this process has written is lost if what is at `path` is.
    fn may_replace(&self, path: &Path) -> Result<(), Trouble> {
        match disk::read(path) {
            Found::Missing | Found::Damaged => Ok(()),
            Found::Record(there) if self.is_of(&there) => Ok(()),
            Found::Record(there) => Err(Trouble::OtherUri(there.uri)),
            Found::Unusable(trouble) => Err(trouble),
        }
    }
}

impl Trouble {
    /// What is wrong, what follows from that, and what to do.
    pub fn describe(&self, target: &Target) -> String {
        let path = target.path.display();
        match self {
            Self::Damaged => format!(
                "State file {path} is damaged: starting without remembered members. It will be written anew"
            ),
            Self::Foreign => format!(
                "State file {path} is something else: it is neither used nor written. \
                 Give state_file another path, or remove that file"
            ),
            Self::OtherVersion => format!(
                "State file {path} is of another version of membership: it is neither used nor written. \
                 Remove it to have it written anew"
            ),
            Self::Unreadable(reason) => format!(
                "State file {path} cannot be read: {reason}. It is neither used nor written. \
                 Check the path and its permissions"
            ),
            Self::OtherUri(other) => {
                let own = &target.owners[0];
                format!(
                    "State file {path} is of {other}, and this instance is {own}: it is neither used nor written. \
                     Give each instance a file of its own; if this one was renamed, remove the file"
                )
            }
            Self::InTheWay(new) => format!(
                "State file {path} is not written: {} is in the way, and is not its own. \
                 Move that file away, or give state_file another path",
                new.display()
            ),
            Self::Unwritable(reason) => format!(
                "State file {path} cannot be written: {reason}. After a restart this instance remembers \
                 what was written last. Check the disk and the permissions"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_no_room_for_that_of_the_next_file_is_not_blamed_on_another_file() {
        let uri = Uri::new("a", 1).unwrap();
        let name = "n".repeat(252);
        let target = Target::new(std::env::temp_dir().join(name), &uri);
        let written = target.write(&Record::new(&uri, 7, core::iter::empty()));
        assert_eq!(
            written,
            Err(Trouble::Unwritable("File name too long".into()))
        );
    }

    #[test]
    fn a_file_that_has_the_name_of_the_next_one_is_lost_only_if_it_is_its_own() {
        let directory = std::env::temp_dir().join(format!("owner-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let [own, other] = [1, 2].map(|port| Uri::new("a", port).unwrap());
        let record = |uri: &Uri| Record::new(uri, 7, core::iter::empty());
        let target = Target::new(directory.join("state"), &own);
        let new = directory.join("state.new");
        let text = |uri: &Uri| record(uri).to_text().unwrap();

        for theirs in ["notes\n".to_owned(), text(&other)] {
            fs::write(&new, &theirs).unwrap();
            let refused = target.write(&record(&own));
            assert_eq!(refused, Err(Trouble::InTheWay(new.clone())));
            assert_eq!(fs::read_to_string(&new).unwrap(), theirs);
            assert!(!target.path.exists());
        }

        let whole = text(&own);
        // A process may be killed, and a machine lose its power, while the file is written.
        let parts = [&whole[..0], &whole[..9], &whole[..40], &whole, "\0\0\0"];
        for part in parts {
            fs::write(&new, part).unwrap();
            assert_eq!(target.write(&record(&own)), Ok(()), "{part:?}");
            assert_eq!(fs::read_to_string(&target.path).unwrap(), whole);
            assert!(!new.exists());
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
