//! The thread that keeps the state file up to date. A disk may hang, and then it alone waits.

use core::time::Duration;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use super::format::Record;
use super::owner::{Target, Trouble};
use crate::shared::Shared;
use crate::state::State;
use crate::{clock, threads};
use swim::detector::candidates::{Memory, REMEMBERED_MAX, Worth};
use swim::log_event::Level;
use swim::time::Micros;

/// How often the thread looks whether there is news: a number that is read without the lock.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// The time between two writes, at least. So old the file may be when the process is killed.
const WRITE_PAUSE: Duration = Duration::from_secs(3);

/// The time from a write that failed to the next.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// At how many members the thread looks at a time, under the lock: for some microseconds.
const LOOKED_AT_MAX: usize = 256;

/// The thread, and what it is told.
#[derive(Clone)]
pub struct Keeper {
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    mail: Mutex<Mail>,
    changed: Condvar,
}

#[derive(Default)]
struct Mail {
    /// The file that is to be kept up to date.
    target: Option<Target>,
    /// What the log has told of it.
    told: Option<Trouble>,
    /// What is to be written once, whatever the state is by then.
    last: Option<(Target, Record)>,
    /// How often there was something to be written last, and how often that is done.
    asked: u64,
    done: u64,
    /// The thread is to end.
    is_closed: bool,
}

/// What the thread does next.
enum Task {
    /// Write this.
    Write(Target, Record, u64),
    /// See whether this file is to be written, of which the log has told that.
    Look(Target, Option<Trouble>),
    /// End.
    End,
}

impl Keeper {
    /// Starts the thread. It has nothing to do yet.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let keeper = Self {
            inbox: Arc::default(),
        };
        let writer = Writer {
            inbox: Arc::clone(&keeper.inbox),
            shared: Arc::downgrade(shared),
            target: None,
            seen: None,
            written: None,
            next: Micros(0),
            trouble: None,
        };
        // It catches no panic, for there is nothing to go on with: then the file is not written any more.
        threads::spawn("membership-file", move || writer.run())?;
        Ok(keeper)
    }

    /// Keeps this file up to date from now on. `told` is what the log has told of it.
    pub fn keep(&self, target: Option<Target>, told: Option<Trouble>) {
        let mut mail = self.inbox.lock();
        (mail.target, mail.told) = (target, told);
        self.inbox.changed.notify_all();
    }

    /// Has this written, and waits for that until `give_up` at most.
    pub fn write_last(&self, target: Target, record: Record, give_up: Micros) {
        let mut mail = self.inbox.lock();
        mail.last = Some((target, record));
        mail.asked += 1;
        let number = mail.asked;
        self.inbox.changed.notify_all();
        let patience = give_up.since(clock::monotonic());
        let waited = self
            .inbox
            .changed
            .wait_timeout_while(mail, patience, |mail| mail.done < number);
        drop(waited);
    }

    /// Ends the thread, once it has written what was to be written last.
    pub fn end(&self) {
        self.inbox.lock().is_closed = true;
        self.inbox.changed.notify_all();
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        // Nothing that is done under this lock panics half-way.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next task.
    fn next(&self) -> Task {
        let mut mail = self.lock();
        loop {
            if let Some((target, record)) = mail.last.take() {
                return Task::Write(target, record, mail.asked);
            }
            if mail.is_closed {
                return Task::End;
            }
            mail = if mail.target.is_some() {
                let waited = self.changed.wait_timeout(mail, LOOK_PAUSE);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let waited = self.changed.wait(mail);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
            if mail.last.is_none()
                && !mail.is_closed
                && let Some(target) = &mail.target
            {
                return Task::Look(target.clone(), mail.told.clone());
            }
        }
    }
}

/// What the thread works with.
struct Writer {
    inbox: Arc<Inbox>,
    // Not `Arc`: a node that is dropped ends the thread.
    shared: Weak<Shared>,
    /// The file that all of this is about.
    target: Option<Target>,
    /// Up to where the news of the table was seen.
    seen: Option<f64>,
    /// What was written last, if that has not failed since.
    written: Option<Record>,
    /// When the file may be written next.
    next: Micros,
    /// Of what the log has told: it says so once.
    trouble: Option<Trouble>,
}

impl Writer {
    fn run(mut self) {
        loop {
            match self.inbox.next() {
                Task::Write(target, record, number) => {
                    self.turn_to(&target, None);
                    self.write(&target, record);
                    self.inbox.lock().done = number;
                    self.inbox.changed.notify_all();
                }
                Task::Look(target, told) => {
                    self.turn_to(&target, told);
                    self.look(&target);
                }
                Task::End => return,
            }
        }
    }

    /// Begins with this file, if it is another one than before.
    fn turn_to(&mut self, target: &Target, told: Option<Trouble>) {
        if self.target.as_ref() == Some(target) {
            return;
        }
        self.target = Some(target.clone());
        (self.seen, self.written) = (None, None);
        (self.next, self.trouble) = (Micros(0), told);
    }

    /// Writes the file if that is due, and it would be another one than the last.
    fn look(&mut self, target: &Target) {
        if clock::monotonic() < self.next {
            return;
        }
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        // Read before the members: what comes in meanwhile is seen the next time.
        let news = Some(shared.progress().news());
        if news == self.seen && self.written.is_some() {
            return;
        }
        let Some(record) = collect(&shared) else {
            return;
        };
        drop(shared);
        self.seen = news;
        if self.written.as_ref() != Some(&record) {
            self.write(target, record);
        }
    }

    fn write(&mut self, target: &Target, record: Record) {
        let result = target.write(&record);
        let line = match &result {
            Ok(()) if self.trouble.is_some() => {
                let path = target.path.display();
                Some((Level::Info, format!("State file {path} is written again")))
            }
            Err(trouble) if self.trouble.as_ref() != Some(trouble) => {
                Some((Level::Warn, trouble.describe(target)))
            }
            Ok(()) | Err(_) => None,
        };
        let is_saved = result.is_ok();
        let pause = if is_saved { WRITE_PAUSE } else { FAILURE_PAUSE };
        self.next = clock::monotonic() + pause;
        self.trouble = result.err();
        self.written = is_saved.then_some(record);
        if let Some(shared) = self.shared.upgrade() {
            shared.manage(|state| state.note_saved(is_saved, line));
        }
    }
}

impl State {
    /// Notes that the state file was written, or could not be.
    fn note_saved(&mut self, is_saved: bool, line: Option<(Level, String)>) {
        let counts = &mut self.state_file.counts;
        if is_saved {
            counts.saves += 1;
        } else {
            counts.failures += 1;
        }
        if let Some((level, line)) = line {
            self.log_queue.push(level, line);
        }
    }
}

/// What is to be remembered now; `None` if the node takes no part in a group, or another process has its socket.
pub fn collect(shared: &Shared) -> Option<Record> {
    let own = shared.look(|state| {
        if state.handover.is_waiting() {
            return None;
        }
        let myself = state.swim.myself()?;
        let own = state.swim.member(myself)?;
        Some((
            myself.clone(),
            own.claim.incarnation,
            state.swim.candidates(),
        ))
    });
    let Ok(Some((uri, incarnation, mut memories))) = own else {
        return None;
    };
    let mut start = 0;
    loop {
        let part = shared.look(|state| {
            let count = state.swim.members().len();
            (state.swim.memories(start, LOOKED_AT_MAX), count)
        });
        let Ok((part, count)) = part else {
            return None;
        };
        memories.extend(part);
        keep_best(&mut memories);
        start += LOOKED_AT_MAX;
        if start >= count {
            break;
        }
    }
    // By kind and name, and not by time: what has not changed is not written again.
    memories.sort_by(|one, other| {
        let (kind, other_kind) = (kind(one.worth), kind(other.worth));
        other_kind.cmp(&kind).then_with(|| one.uri.cmp(&other.uri))
    });
    let members = memories.into_iter().map(|memory| memory.uri);
    Some(Record::new(&uri, incarnation.get(), members))
}

/// Leaves no more than may be: those that are worth most, each once.
fn keep_best(memories: &mut Vec<Memory>) {
    memories.sort_by(|one, other| one.uri.cmp(&other.uri).then(other.worth.cmp(&one.worth)));
    memories.dedup_by(|later, earlier| later.uri == earlier.uri);
    memories.sort_by(|one, other| other.cmp(one));
    memories.truncate(REMEMBERED_MAX);
}

/// The worth of a member, but for when it was heard.
const fn kind(worth: Worth) -> Worth {
    match worth {
        Worth::Heard(_) => Worth::Heard(Micros(0)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;
    use crate::state_file::disk::{self, Found};
    use swim::identity::uri::Uri;

    #[test]
    fn a_disk_that_hangs_delays_a_caller_no_longer_than_said() {
        let directory = std::env::temp_dir().join(format!("keeper-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let uri = Uri::new("a", 1).unwrap();
        let target = Target::new(directory.join("state"), &uri);
        let record = |incarnation| Record::new(&uri, incarnation, core::iter::empty());
        let node = Node::new();
        let keeper = Keeper::start(&node.shared).unwrap();
        let is_done = || {
            let mail = keeper.inbox.lock();
            mail.done == mail.asked
        };

        // The thread cannot end what it does.
        let held = node.shared.hold_for_fork();
        let soon = clock::monotonic() + Duration::from_millis(10);
        keeper.write_last(target.clone(), record(1), soon);
        assert!(!is_done());
        drop(held);

        let late = clock::monotonic() + Duration::from_secs(60);
        keeper.write_last(target.clone(), record(2), late);
        assert!(is_done());
        let Found::Record(found) = disk::read(&target.path) else {
            panic!("no state file");
        };
        assert_eq!(found, record(2));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
