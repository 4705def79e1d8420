//! The state file: what an instance remembers over a restart. Other members, to be looked for, and its own
//! incarnation, to go on counting. No payloads, no keys.
//!
//! | file | subject |
//! |---|---|
//! | `format` | the text |
//! | `disk` | reading it, and writing it so that it is whole at any time |
//! | `owner` | whose file it is, and what is said of one that is not used |
//! | `keeper` | the thread that writes it: a disk that hangs must not stop anything else |

mod disk;
mod format;
mod keeper;
mod owner;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Node;
use crate::error::{Error, system_text};
use crate::shared::Shared;
use disk::Found;
use format::Record;
use keeper::Keeper;
pub use keeper::collect;
use owner::{Target, Trouble};
use swim::Swim;
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::table::claim::Incarnation;
use swim::time::{Micros, Now};

/// The state file of a node, and how often it was written.
#[derive(Default)]
pub struct StateFile {
    /// The file, from `init` to `leave`.
    target: Option<Target>,
    /// The thread. Once started, it waits for the next file.
    keeper: Option<Keeper>,
    counts: Counts,
}

/// How often the file was written, or could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often it was written.
    pub saves: u64,
    /// How often that failed, or the file was not the node's own.
    pub failures: u64,
}

impl StateFile {
    /// How often it was written.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Lets go of the file: it is that of another process.
    pub fn release(&mut self) {
        self.target = None;
        if let Some(keeper) = &self.keeper {
            keeper.keep(None, None);
        }
    }

    /// In the child of a fork, which has no thread but the one that has forked: starts another one. It writes nothing
    /// as long as the parent may.
    pub fn restart_after_fork(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        // Its thread is not in the child, and may have held its lock: even to drop it is not safe.
        let Some(lost) = self.keeper.take() else {
            return Ok(());
        };
        mem::forget(lost);
        match Keeper::start(shared) {
            Ok(keeper) => {
                keeper.keep(self.target.clone(), None);
                self.keeper = Some(keeper);
                Ok(())
            }
            Err(error) => Err(Error::system(
                "cannot write the state file after a fork",
                &error,
            )),
        }
    }
}

/// A state file that `init` is to use, and what is in it.
pub(crate) struct Opened {
    target: Option<Target>,
    record: Option<Record>,
    told: Option<Trouble>,
}

impl Opened {
    /// There is no file: nothing is remembered.
    pub const NONE: Self = Self {
        target: None,
        record: None,
        told: None,
    };

    /// Becomes `uri`, as it was before, and looks for the members that were there.
    pub fn init(&self, swim: &mut Swim, uri: Uri, now: Now) {
        let Some(record) = &self.record else {
            return swim.init(uri, now);
        };
        if let Some(incarnation) = Incarnation::from_wire(record.incarnation) {
            swim.resume(uri.clone(), incarnation);
        }
        swim.look_for(record.members());
        swim.init(uri, now);
    }
}

impl Node {
    /// Reads the state file for `uri`. If it cannot be used, a line in the log says why.
    pub(crate) fn open_state_file(&self, path: Option<&Path>, uri: &Uri) -> Opened {
        let Some(path) = path else {
            return Opened::NONE;
        };
        // A program may change its directory later: `box.cfg{work_dir = …}` does.
        let path = match std::path::absolute(path) {
            Ok(path) => path,
            Err(error) => {
                // The directory is gone, and a relative path leads nowhere. Later it may lead to another file.
                let trouble = Trouble::Unwritable(system_text(&error));
                self.warn_of_state_file(&trouble.describe(&Target::new(path.into(), uri)));
                return Opened::NONE;
            }
        };
        let target = self.target_of(path, uri);
        let mut opened = Opened::NONE;
        let trouble = match disk::read(&target.path) {
            Found::Missing => None,
            Found::Record(record) if target.is_of(&record) => {
                opened.record = Some(record);
                None
            }
            Found::Record(record) => Some(Trouble::OtherUri(record.uri)),
            Found::Damaged => Some(Trouble::Damaged),
            Found::Unusable(trouble) => Some(trouble),
        };
        if let Some(trouble) = trouble {
            self.warn_of_state_file(&trouble.describe(&target));
            opened.told = (trouble != Trouble::Damaged).then_some(trouble);
        }
        opened.target = Some(target);
        opened
    }

    fn warn_of_state_file(&self, line: &str) {
        self.shared
            .manage(|state| state.log_queue.push(Level::Warn, line));
    }

    /// The file at `path` as that of `uri`, and of what this process was before if it was the same file.
    fn target_of(&self, path: PathBuf, uri: &Uri) -> Target {
        let before = self.shared.manage(|state| state.state_file.target.clone());
        match before {
            Some(target) if target.path == path => target.with_owner(uri),
            _ => Target::new(path, uri),
        }
    }

    /// Keeps this state file up to date from now on, and no other. If the system has no thread for that, a line in
    /// the log says so.
    pub(crate) fn keep_state_file(&self, opened: Opened) {
        let Opened { target, told, .. } = opened;
        let keeper = self.shared.manage(|state| {
            state.state_file.target.clone_from(&target);
            state.state_file.keeper.clone()
        });
        let keeper = match (keeper, &target) {
            (Some(keeper), _) => keeper,
            (None, None) => return,
            (None, Some(file)) => match Keeper::start(&self.shared) {
                Ok(keeper) => keeper,
                Err(error) => {
                    let trouble = Trouble::Unwritable(system_text(&error));
                    return self.warn_of_state_file(&trouble.describe(file));
                }
            },
        };
        keeper.keep(target, told);
        self.shared
            .manage(|state| state.state_file.keeper = Some(keeper));
    }

    /// Writes the state file for the last time, if another one takes its place, and does not wait for that.
    pub(crate) fn give_up_state_file(&self, opened: &Opened) {
        let before = self.shared.manage(|state| state.state_file.target.clone());
        let is_another = match (&before, &opened.target) {
            (Some(before), Some(next)) => before.path != next.path,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_another {
            self.close_state_file(collect(&self.shared), Micros(0));
        }
    }

    /// What the state file is to say last, before the node leaves; `None` if there is no file.
    pub(crate) fn last_record(&self) -> Option<Record> {
        let has_file = self
            .shared
            .manage(|state| state.state_file.target.is_some());
        if has_file {
            collect(&self.shared)
        } else {
            None
        }
    }

    /// Writes the state file for the last time, and waits for that until `give_up` at most. On a disk that hangs the
    /// thread goes on by itself.
    pub(crate) fn close_state_file(&self, last: Option<Record>, give_up: Micros) {
        let (target, keeper) = self.shared.manage(|state| {
            let target = state.state_file.target.take();
            (target, state.state_file.keeper.clone())
        });
        let Some(keeper) = keeper else {
            return;
        };
        keeper.keep(None, None);
        if let (Some(target), Some(last)) = (target, last) {
            keeper.write_last(target, last, give_up);
        }
    }

    /// Ends the thread. It may be in the middle of a write: no caller waits for that.
    pub(crate) fn drop_keeper(&self) {
        let keeper = self.shared.manage(|state| state.state_file.keeper.take());
        if let Some(keeper) = keeper {
            keeper.end();
        }
    }
}
