//! `box.cfg{background = true}` forks, and of all threads only the caller's goes on in the child.
//!
//! Before the fork the engine is stopped, and both locks are taken, so that the child inherits them
//! held by the one thread that it has. It then starts an engine of its own over the same socket and
//! state, and the group notices nothing. The parent's is about to exit, without a word to anybody.

use core::cell::Cell;
use core::time::Duration;
use std::mem;
use std::sync::{Arc, MutexGuard, Once};

use super::engine::Engine;
use super::failure::Failure;
use super::shared::Shared;
use super::state::State;
use super::{NODE, Node, clock, entropy};

/// How long the parent leaves the socket to the child. If it still runs then, or calls us sooner,
/// it has forked for some other reason, and takes up work again: short enough that a member who
/// probes it meanwhile asks again before he suspects it.
const PARKING_TIME: Duration = Duration::from_millis(500);

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
    let mut engine = node.shared.engine();
    // Not over a turn of its loop: the child would miss what it has just received.
    if let Some(engine) = engine.take() {
        engine.stop();
    }
    let state = node.shared.lock();
    HELD.set(Some(Held { engine, state }));
}

extern "C" fn parent() {
    let (Some(node), Some(mut held)) = (NODE.get(), HELD.take()) else {
        return;
    };
    let parked_until = clock::monotonic() + PARKING_TIME;
    held.state.parked_until = Some(parked_until);
    held.state.watchdog.excuse(parked_until);
    held.restart(node);
}

extern "C" fn child() {
    let (Some(node), Some(mut held)) = (NODE.get(), HELD.take()) else {
        return;
    };
    held.state
        .waker
        .iter()
        .chain(&held.state.bells)
        .for_each(|bell| bell.renew());
    held.state.watchdog.excuse(clock::monotonic());
    // Its threads are gone, one perhaps while it held a lock: not even dropping it is safe.
    mem::forget(held.state.close_resolver());
    // The parent may yet go on, and no number may be used twice with a key.
    match entropy::seed() {
        Ok(seed) => {
            held.state.swim.part_ways(seed);
            held.restart(node);
        }
        Err(failure) => {
            drop(held);
            node.shared.fail(failure);
        }
    }
}

impl Held {
    fn restart(mut self, node: &'static Node) {
        let shared: &Arc<Shared> = &node.shared;
        let (Some(socket), Some(waker)) = (&self.state.socket, &self.state.waker) else {
            return;
        };
        match Engine::start(shared, socket, waker) {
            Ok(engine) => *self.engine = Some(engine),
            Err(error) => {
                let failure = Failure::system("cannot start a thread after a fork", &error);
                drop(self);
                shared.fail(failure);
            }
        }
    }
}
