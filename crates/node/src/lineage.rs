//! Whose socket it is: after a fork that of the parent, as long as that lives.
//!
//! Each process has a *life line*, a pair of sockets. Its children have one end of it, and see the other
//! one close when the process ends, however that comes about. A child of a child watches the lines of
//! both: it has the socket from either.

use core::mem;
use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};

use crate::net::poll::{self, PollFd, PollFlags, poll};
use swim::time::Micros;

/// Who goes into the background ends soon after the fork. A child beside which its parent goes on for
/// longer is there for something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// The processes that come before this one, and what those see of it that come after.
#[derive(Debug, Default)]
pub struct Lineage {
    /// The life line of this process, if it has forked or may.
    line: Option<Line>,
    /// The lines of those that had the socket before, as long as they live.
    ancestors: Vec<Arc<UnixStream>>,
    /// Until when to wait for the end of those.
    give_up: Micros,
    /// There was no line to be had: nothing will show when the parent ends.
    blind: bool,
}

#[derive(Debug)]
struct Line {
    /// Open in this process only.
    held: UnixStream,
    /// Open in the children, too.
    seen: UnixStream,
    /// There may be a child.
    shared: bool,
}

/// Who may use the socket.
#[derive(Debug)]
pub enum Heritage {
    /// This process.
    Ours,
    /// One that comes before it and lives: until one of these lines closes, or the time has come.
    Theirs(Vec<Arc<UnixStream>>, Micros),
    /// One that comes before it, for good. These lines are to be closed after the socket: then that one
    /// knows that it has it for itself.
    Lost(Vec<Arc<UnixStream>>),
}

impl Lineage {
    /// A fork is about to happen. Without a line the child will never take over.
    pub fn prepare(&mut self) {
        if self.line.is_none() {
            self.line = Line::new().ok();
        }
        if let Some(line) = &mut self.line {
            line.shared = true;
        }
    }

    /// This is the child now.
    pub fn descend(&mut self, now: Micros) {
        self.give_up = now + PATIENCE;
        match self.line.take() {
            // With that goes the end that is the parent's to hold.
            Some(line) => self.ancestors.push(Arc::new(line.seen)),
            None => self.blind = true,
        }
    }

    /// Whether others may have the socket, for all that is known.
    pub const fn is_heir(&self) -> bool {
        self.blind || !self.ancestors.is_empty()
    }

    /// Looks whose the socket is.
    pub fn look(&mut self, now: Micros) -> Heritage {
        let mut lost = self.blind;
        self.ancestors.retain(|ancestor| match fate(ancestor) {
            Fate::Lives => true,
            Fate::Ended => false,
            Fate::Left => {
                lost = true;
                true
            }
        });
        if lost {
            return Heritage::Lost(mem::take(&mut self.ancestors));
        }
        if self.ancestors.is_empty() {
            return Heritage::Ours;
        }
        if now >= self.give_up {
            return Heritage::Lost(mem::take(&mut self.ancestors));
        }
        Heritage::Theirs(self.ancestors.clone(), self.give_up)
    }

    /// This process has no part in what those before it have.
    pub fn renounce(&mut self) {
        self.ancestors.clear();
        self.blind = false;
    }

    /// This process gives the socket up, and so are its children to. Returns what to wait for until they
    /// have, see [`Farewell::wait`].
    pub fn leave(&mut self) -> Option<Farewell> {
        let mut line = self.line.take().filter(|line| line.shared)?;
        // It has room for a byte: nothing was ever written there.
        let _ = line.held.write(&[0]);
        Some(Farewell(line.held.into()))
    }
}

impl Line {
    fn new() -> io::Result<Self> {
        let (held, seen) = UnixStream::pair()?;
        held.set_nonblocking(true)?;
        let shared = false;
        Ok(Self { held, seen, shared })
    }
}

/// Children that may still have the socket.
pub struct Farewell(OwnedFd);

impl Farewell {
    /// They take no longer than to be woken. One that is stopped keeps the port.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// Waits until all have closed it.
    pub fn wait(self) {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, Self::PATIENCE);
    }
}

/// What has become of a process.
enum Fate {
    Lives,
    /// It has ended, and has the socket no more.
    Ended,
    /// It has given the socket up.
    Left,
}

fn fate(ancestor: &UnixStream) -> Fate {
    let mut fds = [PollFd::new(ancestor.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, Duration::ZERO).is_err() {
        return Fate::Lives;
    }
    let seen = poll::events(&fds[0]);
    // What was written before the end is still there: it is only peeked at, so that all children see it.
    if is_written(ancestor) {
        Fate::Left
    } else if seen.contains(PollFlags::POLLHUP) {
        Fate::Ended
    } else {
        Fate::Lives
    }
}

fn is_written(ancestor: &UnixStream) -> bool {
    let mut byte = [0_u8];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(ancestor.as_raw_fd(), &mut byte, flags) == Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Micros = Micros(1_000_000);

    /// A process and its child; the fork is left out.
    fn family() -> (Lineage, Lineage) {
        let mut parent = Lineage::default();
        parent.prepare();
        let child = child_of(&parent, &[]);
        (parent, child)
    }

    fn child_of(parent: &Lineage, ancestors: &[&Lineage]) -> Lineage {
        let ancestors = ancestors.iter().chain([&parent]);
        let seen = |one: &&Lineage| Arc::new(one.line.as_ref().unwrap().seen.try_clone().unwrap());
        Lineage {
            line: None,
            ancestors: ancestors.map(seen).collect(),
            give_up: START + PATIENCE,
            blind: false,
        }
    }

    fn waits(lineage: &mut Lineage, now: Micros) -> bool {
        matches!(lineage.look(now), Heritage::Theirs(..))
    }

    #[test]
    fn a_child_takes_over_when_its_parent_has_ended() {
        let (parent, mut child) = family();
        assert!(child.is_heir() && waits(&mut child, START));
        drop(parent);
        assert!(matches!(child.look(START), Heritage::Ours));
        assert!(!child.is_heir());
    }

    #[test]
    fn a_child_of_a_child_waits_for_both() {
        let (parent, mut child) = family();
        child.prepare();
        let mut grandchild = child_of(&child, &[&parent]);
        drop(child);
        assert!(waits(&mut grandchild, START), "its grandparent lives");
        drop(parent);
        assert!(matches!(grandchild.look(START), Heritage::Ours));
    }

    #[test]
    fn no_child_takes_over_from_who_has_left_though_that_ends_later() {
        let (mut parent, mut child) = family();
        let mut sibling = child_of(&parent, &[]);
        assert!(parent.leave().is_some());
        assert!(parent.leave().is_none(), "there is none left to wait for");
        drop(parent);
        for one in [&mut child, &mut sibling] {
            assert!(matches!(one.look(START), Heritage::Lost(_)));
        }
    }

    #[test]
    fn a_child_beside_which_its_parent_goes_on_does_not_wait_for_ever() {
        let (_parent, mut child) = family();
        assert!(waits(
            &mut child,
            START + PATIENCE - Duration::from_micros(1)
        ));
        assert!(matches!(child.look(START + PATIENCE), Heritage::Lost(_)));
        child.renounce();
        assert!(!child.is_heir());
    }

    #[test]
    fn a_child_that_sees_nothing_of_its_parent_takes_nothing_over() {
        let mut child = Lineage::default();
        child.descend(START);
        assert!(child.is_heir());
        assert!(matches!(child.look(START), Heritage::Lost(_)));
    }

    #[test]
    fn who_has_no_children_waits_for_none() {
        assert!(Lineage::default().leave().is_none());
    }
}
