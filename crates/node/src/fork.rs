//! What happens to the node when the process forks.
//!
//! Only the thread that forks goes on in the child. So it takes both locks before the fork: then no other
//! thread holds them at that moment, and the child can release them. The parent goes on as if nothing had
//! happened.
//!
//! The child leaves the socket alone as long as the parent lives. When the parent ends, as it does for
//! `box.cfg{background = true}`, the child goes on with the same socket and state, and the group notices
//! nothing. See `handover`.
//!
//! POSIX allows the child of a process with threads no more than async-signal-safe calls until it calls
//! `exec`. The handler for the child does more: it allocates memory and starts a thread. That relies on
//! glibc, whose `fork` holds the locks of `malloc` meanwhile and releases them in the child, and resets the
//! list and the stacks of threads, both before it runs the handlers.

use core::cell::Cell;
use std::mem;
use std::sync::{Arc, MutexGuard, Once};

use crate::engine::Engine;
use crate::error::Error;
use crate::handover::SocketOwner;
use crate::net::family::Listen;
use crate::state::State;
use crate::{NODE, Node, clock, entropy};
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::time::Now;

/// Makes the node of this process survive forks.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers take no arguments, and stay mapped: the library is linked with `nodelete`.
        // POSIX promises to call them on the thread that forks.
        let code = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        // It fails only without memory, and then so does everything else.
        assert_eq!(code, 0, "cannot register what to do at a fork");
    });
}

/// The locks, held from before a fork until after it.
struct Held {
    engine: MutexGuard<'static, Option<Engine>>,
    state: MutexGuard<'static, State>,
}

thread_local! {
    /// Of the thread that forks, the only one that goes on in the child.
    static HELD: Cell<Option<Held>> = const { Cell::new(None) };
}

extern "C" fn prepare() {
    let Some(node) = NODE.get() else { return };
    let (engine, mut state) = node.shared.hold_for_fork();
    if state.socket.is_some() {
        state.handover.prepare_fork();
    }
    HELD.set(Some(Held { engine, state }));
}

extern "C" fn parent() {
    drop(HELD.take());
}

extern "C" fn child() {
    let (Some(node), Some(mut held)) = (NODE.get(), HELD.take()) else {
        return;
    };
    let state = &mut *held.state;
    if let Some(waker) = &state.engine_waker {
        waker.renew();
    }
    for waker in &state.lua_states.wakers() {
        waker.renew();
    }
    state.lua_states.excuse_pause(clock::monotonic());
    state.engine_watch.stop();
    // Their threads are not in the child, and one may have held a lock: even to drop them is not safe.
    mem::forget(state.close_resolver());
    mem::forget(held.engine.take());
    if let Err(failure) = state.state_file.restart_after_fork(&node.shared) {
        state.log_queue.push(Level::Warn, failure);
    }
    // The parent goes on with the old seed, and no packet number may be used twice with a key.
    match entropy::seed() {
        Ok(seed) => {
            state.swim.reseed_after_fork(seed);
            held.wait_for_parent(node);
        }
        Err(failure) => {
            drop(held);
            node.shared.fail(failure);
        }
    }
}

impl Held {
    /// Starts an engine that waits for the parent to end.
    fn wait_for_parent(mut self, node: &'static Node) {
        let state = &mut *self.state;
        let (Some(socket), Some(waker)) = (state.socket.take(), &state.engine_waker) else {
            return;
        };
        // SAFETY: the other references belong to threads of the parent, which the kernel does not copy into
        // the child, and to their engine and resolver, which were forgotten. This thread is in `fork`,
        // which the node never calls, and so has no other.
        let socket = Arc::new(unsafe { socket.reclaimed() });
        state.socket = Some(Arc::clone(&socket));
        state.handover.become_child(clock::monotonic());
        match Engine::start(&node.shared, &socket, waker) {
            Ok(engine) => *self.engine = Some(engine),
            Err(error) => {
                let failure = Error::system("cannot start a thread after a fork", &error);
                drop(self);
                node.shared.fail(failure);
            }
        }
    }
}

impl State {
    /// Looks which process may use the socket. Once this one may, it sends what it had to keep back.
    pub fn find_socket_owner(&mut self, now: Now) -> SocketOwner {
        if self.socket.is_none() {
            return SocketOwner::AncestorForGood(Vec::new());
        }
        if !self.handover.is_waiting() {
            return SocketOwner::Us;
        }
        let owner = self.handover.find_owner(now.monotonic);
        match owner {
            SocketOwner::Us => self.lua_states.excuse_pause(now.monotonic),
            SocketOwner::AncestorForGood(_) => self.abandon_socket(now),
            SocketOwner::Ancestor(..) => {}
        }
        owner
    }

    /// Whether this process listens there, or will once its parent has ended. A child that is to have
    /// another URI or address abandons the socket of its parent.
    pub fn serves(&mut self, listen: Listen, uri: &Uri, now: Now) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        let is_same_address = socket.listen() == listen;
        let is_same_member = self.swim.myself() == Some(uri);
        if self.handover.is_waiting() && !(is_same_address && is_same_member) {
            self.abandon_socket(now);
            return false;
        }
        is_same_address
    }

    /// Leaves the socket to the parent, and the group without telling it.
    pub fn abandon_socket(&mut self, now: Now) {
        self.swim.leave(now);
        while self.swim.poll_transmit().is_some() {}
        self.kept_back.clear();
        self.lua_states.stop();
        self.socket = None;
        self.handover.renounce();
        // It is the parent's. A child that calls `init` with its path must find that out.
        self.state_file.release();
        // The engine waits for the parent to end, and has to close the socket, too.
        if let Some(waker) = &self.engine_waker {
            let _ = waker.wake();
        }
    }
}
