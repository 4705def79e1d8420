//! What happens to the node when the process forks.
//!
//! Of all threads only the one that forks goes on in the child. So both locks are taken before, and
//! the child has them held by its only thread. The parent goes on as if nothing had happened.
//!
//! The child does nothing with the socket as long as the parent lives. When the parent ends, as it does
//! for `box.cfg{background = true}` and whatever else goes into the background, the child goes on over
//! the same socket and state, and the group notices nothing. See `lineage`.

use core::cell::Cell;
use core::net::SocketAddr;
use std::mem;
use std::sync::{Arc, MutexGuard, Once};

use crate::engine::Engine;
use crate::error::Error;
use crate::lineage::Heritage;
use crate::state::State;
use crate::{NODE, Node, clock, entropy};
use swim::identity::uri::Uri;
use swim::time::Now;

/// Makes the node of this process survive its forks.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three are functions without arguments, which are never unmapped: the library
        // is linked with `nodelete`.
        let code = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        // It fails for want of memory only, and then so does everything else.
        assert_eq!(code, 0, "cannot register what to do at a fork");
    });
}

/// The locks, held from before a fork until after it.
struct Held {
    engine: MutexGuard<'static, Option<Engine>>,
    state: MutexGuard<'static, State>,
}

thread_local! {
    /// Of the thread that forks: the only one that is the same in the child.
    static HELD: Cell<Option<Held>> = const { Cell::new(None) };
}

extern "C" fn prepare() {
    let Some(node) = NODE.get() else { return };
    let (engine, mut state) = node.shared.hold_for_fork();
    if state.socket.is_some() {
        state.lineage.prepare();
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
    let wakers = state.waker.iter().chain(&state.wakers);
    wakers.for_each(|waker| waker.renew());
    state.watchdog.excuse(clock::monotonic());
    state.engine_watch.dismiss();
    // Their threads are gone, one perhaps while it held a lock: not even dropping them is safe.
    mem::forget(state.close_resolver());
    mem::forget(held.engine.take());
    // The parent goes on, and no number may be used twice with a key.
    match entropy::seed() {
        Ok(seed) => {
            state.swim.reseed_after_fork(seed);
            held.expect_heritage(node);
        }
        Err(failure) => {
            drop(held);
            node.shared.fail(failure);
        }
    }
}

impl Held {
    /// Has an engine wait for the end of the parent.
    fn expect_heritage(mut self, node: &'static Node) {
        let state = &mut *self.state;
        let (Some(socket), Some(waker)) = (state.socket.take(), &state.waker) else {
            return;
        };
        // SAFETY: the others who use it are threads that are not in this process, and so is what they
        // have. This one is in `fork`, and has no other.
        let socket = Arc::new(unsafe { socket.reclaimed() });
        state.socket = Some(Arc::clone(&socket));
        state.lineage.descend(clock::monotonic());
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
    /// Looks whose the socket is. What was to be sent meanwhile is sent once it is ours.
    pub fn look_for_heritage(&mut self, now: Now) -> Heritage {
        if self.socket.is_none() {
            return Heritage::Lost(Vec::new());
        }
        if !self.lineage.is_heir() {
            return Heritage::Ours;
        }
        let heritage = self.lineage.look(now.monotonic);
        match heritage {
            Heritage::Ours => self.watchdog.excuse(now.monotonic),
            Heritage::Lost(_) => self.let_go(),
            Heritage::Theirs(..) => {}
        }
        heritage
    }

    /// Whether `bound` is where this process listens, or will once its parent has ended. An heir that is
    /// to go by another URI does not take over from its parent.
    pub fn serves(&mut self, bound: SocketAddr, uri: &Uri) -> bool {
        let heir = self.lineage.is_heir();
        if heir && self.swim.myself() != Some(uri) {
            self.let_go();
        }
        let here = self.socket.as_ref().map(|socket| socket.bound());
        if heir && here.is_some() && here != Some(bound) {
            self.let_go();
        }
        here == Some(bound) && self.socket.is_some()
    }

    /// Leaves the socket to the process that it is from, and with that the group, without a word.
    pub fn let_go(&mut self) {
        self.swim.leave();
        while self.swim.poll_transmit().is_some() {}
        self.held.clear();
        self.watchdog.dismiss();
        self.socket = None;
        self.lineage.renounce();
        // The engine waits for the end of the parent, and has the socket as well.
        if let Some(waker) = &self.waker {
            let _ = waker.ring();
        }
    }
}
