//! Which process may use the socket. After a fork, parent and child both have it: the parent goes on
//! using it, and the child takes over when the parent ends.
//!
//! Each process that forks has a *life line*, a pair of sockets. The process holds one end, its children
//! inherit the other, and the kernel closes the held end when the process ends, in whatever way. A child of
//! a child watches the life lines of both processes before it, because either may have the socket.

use core::mem;
use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};

use crate::net::poll::{self, PollFd, PollFlags, poll};
use swim::time::Micros;

/// How long a child waits for its parent to end. A program that goes into the background ends its first
/// process soon after the fork; a child whose parent lives on was made for another purpose.
const PARENT_END_MAX: Duration = Duration::from_secs(60);

/// The life lines of this process and of those that it descends from.
#[derive(Debug, Default)]
pub struct Handover {
    /// The life line of this process, once it has forked or is about to.
    own: Option<LifeLine>,
    /// The inherited ends: of the processes that had the socket before, as long as they have it.
    ancestors: Vec<Arc<UnixStream>>,
    /// When to stop waiting for those processes to end.
    give_up: Micros,
    /// The parent had no life line, so this process will not notice its end.
    blind: bool,
}

#[derive(Debug)]
struct LifeLine {
    /// Open in this process only.
    held: UnixStream,
    /// Open in the children as well.
    inherited: UnixStream,
    /// There may be a child.
    has_forked: bool,
}

/// Which process may use the socket.
#[derive(Debug)]
pub enum SocketOwner {
    /// This process.
    Us,
    /// A process that this one descends from. Ask again when one of these life lines closes, or at this
    /// time.
    Ancestor(Vec<Arc<UnixStream>>, Micros),
    /// A process that this one descends from, for good. Close these life lines after the socket: the other
    /// process waits for them to close, to know that it has the port for itself.
    AncestorForGood(Vec<Arc<UnixStream>>),
}

impl Handover {
    /// Makes the life line for a fork that is about to happen. If the system refuses, the child never
    /// takes over.
    pub fn prepare_fork(&mut self) {
        if self.own.is_none() {
            self.own = LifeLine::new().ok();
        }
        if let Some(own) = &mut self.own {
            own.has_forked = true;
        }
    }

    /// Turns the parent's life line into one to watch: this process is the child.
    pub fn become_child(&mut self, now: Micros) {
        self.give_up = now + PARENT_END_MAX;
        match self.own.take() {
            // The end that only the parent may hold is closed here.
            Some(line) => self.ancestors.push(Arc::new(line.inherited)),
            None => self.blind = true,
        }
    }

    /// Whether another process may have the socket, as far as is known.
    pub const fn is_waiting(&self) -> bool {
        self.blind || !self.ancestors.is_empty()
    }

    /// Looks which process may use the socket now.
    pub fn find_owner(&mut self, now: Micros) -> SocketOwner {
        let mut for_good = self.blind;
        self.ancestors
            .retain(|ancestor| match ancestor_state(ancestor) {
                AncestorState::Running => true,
                AncestorState::Ended => false,
                AncestorState::Left => {
                    for_good = true;
                    true
                }
            });
        if !for_good && self.ancestors.is_empty() {
            return SocketOwner::Us;
        }
        if for_good || now >= self.give_up {
            return SocketOwner::AncestorForGood(mem::take(&mut self.ancestors));
        }
        SocketOwner::Ancestor(self.ancestors.clone(), self.give_up)
    }

    /// Stops waiting: this process has no claim to the socket.
    pub fn renounce(&mut self) {
        self.ancestors.clear();
        self.blind = false;
    }

    /// Tells the children that this process gives the socket up, and that they must, too. Returns what to
    /// wait for until they have; `None` if there are no children.
    pub fn dismiss_children(&mut self) -> Option<ChildrenClosing> {
        let mut line = self.own.take()?;
        if !line.has_forked {
            return None;
        }
        // There is room for this byte: none was written before.
        let _ = line.held.write(&[0]);
        Some(ChildrenClosing(line.held.into()))
    }
}

impl LifeLine {
    fn new() -> io::Result<Self> {
        let (held, inherited) = UnixStream::pair()?;
        held.set_nonblocking(true)?;
        Ok(Self {
            held,
            inherited,
            has_forked: false,
        })
    }
}

/// Children that may still have the socket.
pub struct ChildrenClosing(OwnedFd);

impl ChildrenClosing {
    /// A child needs no longer than to be woken. One that is stopped by a signal keeps the port.
    const WAIT_MAX: Duration = Duration::from_millis(100);

    /// Waits until all children have closed the socket.
    pub fn wait(self) {
        // Without an event to wait for, `poll` reports the close of the other end alone.
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, Self::WAIT_MAX);
    }
}

enum AncestorState {
    /// It runs and has the socket.
    Running,
    /// It has ended, and the socket with it.
    Ended,
    /// It has left the group and given the socket up.
    Left,
}

fn ancestor_state(life_line: &UnixStream) -> AncestorState {
    let mut fds = [PollFd::new(life_line.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, Duration::ZERO).is_err() {
        return AncestorState::Running;
    }
    // The byte is still there after the end of its writer, so look for it first.
    if has_byte(life_line) {
        AncestorState::Left
    } else if poll::events(&fds[0]).contains(PollFlags::POLLHUP) {
        AncestorState::Ended
    } else {
        AncestorState::Running
    }
}

/// Peeks: all children share the life line, and each has to see the byte.
fn has_byte(life_line: &UnixStream) -> bool {
    let mut byte = [0_u8];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(life_line.as_raw_fd(), &mut byte, flags) == Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Micros = Micros(1_000_000);

    /// A process and its child; the fork is left out.
    fn family() -> (Handover, Handover) {
        let mut parent = Handover::default();
        parent.prepare_fork();
        let child = child_of(&parent, &[]);
        (parent, child)
    }

    fn child_of(parent: &Handover, ancestors: &[&Handover]) -> Handover {
        let ancestors = ancestors.iter().chain([&parent]);
        let inherited =
            |one: &&Handover| Arc::new(one.own.as_ref().unwrap().inherited.try_clone().unwrap());
        Handover {
            own: None,
            ancestors: ancestors.map(inherited).collect(),
            give_up: START + PARENT_END_MAX,
            blind: false,
        }
    }

    fn waits(handover: &mut Handover, now: Micros) -> bool {
        matches!(handover.find_owner(now), SocketOwner::Ancestor(..))
    }

    #[test]
    fn a_child_takes_over_when_its_parent_has_ended() {
        let (parent, mut child) = family();
        assert!(child.is_waiting() && waits(&mut child, START));
        drop(parent);
        assert!(matches!(child.find_owner(START), SocketOwner::Us));
        assert!(!child.is_waiting());
    }

    #[test]
    fn a_child_of_a_child_waits_for_both_processes_before_it() {
        let (parent, mut child) = family();
        child.prepare_fork();
        let mut grandchild = child_of(&child, &[&parent]);
        drop(child);
        assert!(waits(&mut grandchild, START), "its grandparent lives");
        drop(parent);
        assert!(matches!(grandchild.find_owner(START), SocketOwner::Us));
    }

    #[test]
    fn no_child_takes_over_from_a_parent_that_has_left_and_then_ended() {
        let (mut parent, mut child) = family();
        let mut sibling = child_of(&parent, &[]);
        assert!(parent.dismiss_children().is_some());
        assert!(
            parent.dismiss_children().is_none(),
            "no child is left to wait for"
        );
        drop(parent);
        for one in [&mut child, &mut sibling] {
            assert!(matches!(
                one.find_owner(START),
                SocketOwner::AncestorForGood(_)
            ));
        }
    }

    #[test]
    fn a_child_whose_parent_goes_on_stops_waiting() {
        let (_parent, mut child) = family();
        assert!(waits(
            &mut child,
            START + PARENT_END_MAX - Duration::from_micros(1)
        ));
        assert!(matches!(
            child.find_owner(START + PARENT_END_MAX),
            SocketOwner::AncestorForGood(_)
        ));
        child.renounce();
        assert!(!child.is_waiting());
    }

    #[test]
    fn a_child_without_a_life_line_to_its_parent_does_not_take_over() {
        let mut child = Handover::default();
        child.become_child(START);
        assert!(child.is_waiting());
        assert!(matches!(
            child.find_owner(START),
            SocketOwner::AncestorForGood(_)
        ));
    }

    #[test]
    fn a_process_without_children_waits_for_none() {
        assert!(Handover::default().dismiss_children().is_none());
    }
}
