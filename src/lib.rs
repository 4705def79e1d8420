//! `membership.core`: the functions that the Lua files of the module call.
//!
//! ```text
//! Lua callers ─► lua/membership.lua ─► membership.core (here) ─► crates/node ─► crates/swim
//!                      ▲                                              │
//!                      └── one fiber, woken through a file descriptor ◄┘
//! ```
//!
//! | file | what Lua calls for |
//! |---|---|
//! | `table` | the members, for the copy that Lua keeps of them |
//! | `members` | members that are added, removed, allowed, or said to be something
//! | `payload` | the payload of this instance, as a whole or key by key |
//! | `options` | options: read, listed, assigned |
//! | `keys` | encryption keys: changed, and asked for |
//! | `checks` | what would be refused, without doing it |
//! | `stats`, `diagnosis` | counters and gauges; hints about members |
//! | `history` | every change of the members, with its reason |
//! | `blob` | how nested values cross: as MessagePack |
//!
//! A function takes arguments, and returns a value, or `nil` and a message for the user. It decides
//! nothing. Values other than numbers, booleans and short texts cross as MessagePack, which Tarantool
//! encodes and decodes itself: mlua does not know its `uint64`, decimals and UUIDs.
//!
//! No Lua value is touched under the lock of the node: an allocation may run the garbage collector, and a
//! finalizer that calls back into the module would wait for ever. Texts are copied before the lock is
//! taken, and results are built after it is released.
//!
//! A process may have several Lua states (application threads). Each gets its own table and its own
//! waker; all share one node.

mod blob;
mod checks;
mod diagnosis;
mod history;
mod keys;
mod members;
mod options;
mod payload;
mod stats;
mod table;

use std::error::Error;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlua::{BString, FromLuaMulti, IntoLuaMulti, Lua, Table, Value};

use node::clock::LuaTime;
use node::net::interfaces::interfaces;
use node::{Waker, node};
use swim::identity::uri::{Uri, UriError};
use swim::time::Micros;
use swim::{PingId, PingOutcome};

/// The result of a call: a value, or a message for the user.
type Answer<T> = Result<T, Message>;

/// What went wrong, for the user. Made of any error, so that `?` is enough.
struct Message(String);

impl<E: Error> From<E> for Message {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The key in the registry of a Lua state for its table, which outlives `package.loaded`.
const REGISTRY_KEY: &str = "membership.core";

#[mlua::lua_module]
fn membership_core(lua: &Lua) -> mlua::Result<Table> {
    if let Some(core) = lua.named_registry_value::<Option<Table>>(REGISTRY_KEY)? {
        return Ok(core);
    }
    let core = lua.create_table()?;
    export(lua, &core, "init", init)?;
    export(lua, &core, "leave", leave)?;
    export(lua, &core, "myself", myself)?;
    export(lua, &core, "add_member", members::add_member)?;
    export(lua, &core, "mark_left", members::mark_left)?;
    export(lua, &core, "remove_member", members::remove_member)?;
    export(
        lua,
        &core,
        "set_allowed_members",
        members::set_allowed_members,
    )?;
    export(lua, &core, "generate", members::generate)?;
    export(lua, &core, "changes", table::changes)?;
    export(lua, &core, "news", table::news)?;
    export(lua, &core, "history", history::history)?;
    export(lua, &core, "member", table::member)?;
    export(lua, &core, "progress_address", table::progress_address)?;
    export(lua, &core, "set_payload", payload::set_payload)?;
    export(lua, &core, "set_payload_key", payload::set_payload_key)?;
    export(lua, &core, "probe", probe)?;
    export(lua, &core, "outcome", outcome)?;
    export(lua, &core, "leads_elsewhere", leads_elsewhere)?;
    export(lua, &core, "forget_probe", forget_probe)?;
    export(lua, &core, "broadcast", broadcast)?;
    export(lua, &core, "getifaddrs", getifaddrs)?;
    export(lua, &core, "option", options::option)?;
    export(lua, &core, "options", options::options)?;
    export(lua, &core, "set_option", options::set_option)?;
    export(lua, &core, "reset_option", options::reset_option)?;
    export(lua, &core, "use_profile", options::use_profile)?;
    export(lua, &core, "profile", options::profile)?;
    export(lua, &core, "check_profile", options::check_profile)?;
    export(lua, &core, "parse_uri", checks::parse_uri)?;
    export(lua, &core, "default_option", checks::default_option)?;
    export(lua, &core, "check_option", checks::check_option)?;
    export(
        lua,
        &core,
        "has_encryption_keys",
        checks::has_encryption_keys,
    )?;
    export(lua, &core, "is_understood", checks::is_understood)?;
    export(lua, &core, "check_payload", checks::check_payload)?;
    keys::export_all(lua, &core)?;
    export(lua, &core, "stats", stats::stats)?;
    export(lua, &core, "diagnose", diagnosis::diagnose)?;
    export(lua, &core, "waker", waker)?;
    export(lua, &core, "heartbeat", heartbeat)?;
    export(lua, &core, "end_heartbeats", end_heartbeats)?;
    export(lua, &core, "is_log_written", is_log_written)?;
    // The Lua files compare it with theirs: this library outlives them in a process.
    core.set("VERSION", env!("CARGO_PKG_VERSION"))?;
    // State of the Lua files that outlives a reload of them.
    core.set("persistent", lua.create_table()?)?;
    lua.set_named_registry_value(REGISTRY_KEY, &core)?;
    Ok(core)
}

fn export<A, R>(
    lua: &Lua,
    core: &Table,
    name: &str,
    call: fn(&Lua, A) -> Answer<R>,
) -> mlua::Result<()>
where
    A: FromLuaMulti + 'static,
    R: IntoLuaMulti + 'static,
{
    let function = lua.create_function(move |lua, arguments: A| match call(lua, arguments) {
        Ok(values) => values.into_lua_multi(lua),
        Err(Message(message)) => (Value::Nil, message).into_lua_multi(lua),
    })?;
    core.set(name, function)
}

fn init(
    _: &Lua,
    (host, port, bind, state_file): (BString, u16, Option<BString>, Option<BString>),
) -> Answer<bool> {
    let (host, bind) = (text(&host), bind.as_ref().map(text));
    // A path is any bytes.
    let state_file = state_file
        .as_ref()
        .map(|path| Path::new(OsStr::from_bytes(path)));
    node().init_remembering(&host, port, bind.as_deref(), state_file)?;
    Ok(true)
}

/// Leaves the group. Returns whether the node was a member.
fn leave(_: &Lua, (): ()) -> Answer<bool> {
    Ok(node().leave()?)
}

/// Returns the URI of the local node, or nil.
fn myself(_: &Lua, (): ()) -> Answer<Option<String>> {
    let myself = node().view(|swim| swim.myself().cloned())?;
    Ok(myself.map(|uri| uri.to_string()))
}

/// Pings `uri` with the time of Lua's clock. Returns the id for [`outcome`] and [`forget_probe`].
fn probe(_: &Lua, (uri, shown, lag): (BString, Option<f64>, f64)) -> Answer<f64> {
    let uri = match Uri::parse(&text(&uri)) {
        Ok(uri) => uri,
        Err(UriError::Host | UriError::NotOneMachine(_)) => {
            return Err(Message(PARSE_ERROR.into()));
        }
        // As in membership 2.x, which finds a host in it, and then cannot send there.
        Err(UriError::Port) => return Err(Message(PING_NOT_SENT.into())),
    };
    if let Some(lua_time) = lua_time(shown, lag) {
        node().follow_clock(lua_time);
    }
    let id = node().with_swim(|swim, now| swim.probe(&uri, now))??;
    Ok(id.0 as f64)
}

fn outcome(_: &Lua, id: f64) -> Answer<&'static str> {
    Ok(match node().view(|swim| swim.outcome(PingId(id as u64)))? {
        PingOutcome::Waiting => "waiting",
        PingOutcome::Answered => "answered",
        PingOutcome::Unsent => "unsent",
    })
}

/// Whether the name of `uri` was found to lead to networks that are not allowed.
fn leads_elsewhere(_: &Lua, uri: BString) -> Answer<bool> {
    let uri = parse(&uri)?;
    Ok(node().with_swim(|swim, now| swim.leads_elsewhere(&uri, now))?)
}

fn forget_probe(_: &Lua, id: f64) -> Answer<bool> {
    node().with_swim(|swim, _| swim.forget_probe(PingId(id as u64)))?;
    Ok(true)
}

/// Asks all members that broadcasts reach to ping the local node. See [`blob::broadcast_pings`].
fn broadcast(_: &Lua, port: u16) -> Answer<BString> {
    let pings = node().broadcast(port)?;
    Ok(blob::broadcast_pings(&pings).into())
}

/// Returns the networks of this machine, see [`blob::interfaces`].
fn getifaddrs(_: &Lua, (): ()) -> Answer<BString> {
    match interfaces() {
        Ok(interfaces) => Ok(blob::interfaces(&interfaces).into()),
        Err(why) => Err(Message(why)),
    }
}

/// The waker of a Lua state. It is closed with the state.
struct OwnWaker(Arc<Waker>);

impl Drop for OwnWaker {
    fn drop(&mut self) {
        node().close_waker(&self.0);
    }
}

fn own_waker(lua: &Lua) -> Answer<Arc<Waker>> {
    if let Some(own) = lua.app_data_ref::<OwnWaker>() {
        return Ok(Arc::clone(&own.0));
    }
    let waker = node().open_waker()?;
    lua.set_app_data(OwnWaker(Arc::clone(&waker)));
    Ok(waker)
}

/// Returns the descriptor that becomes readable when there are changes or lines.
fn waker(lua: &Lua, (): ()) -> Answer<RawFd> {
    Ok(own_waker(lua)?.as_raw_fd())
}

/// Tells the node that Lua is running and what its clock shows, if that is known, and resets the waker.
/// Returns whether the node takes part in a group, whether this Lua state is the one that writes the log,
/// and the lines to be logged, see [`blob::lines`], or nil.
fn heartbeat(lua: &Lua, (shown, lag): (Option<f64>, f64)) -> Answer<(bool, bool, Option<BString>)> {
    let waker = own_waker(lua)?;
    let turn = node().heartbeat(&waker, lua_time(shown, lag));
    let lines = if turn.lines.is_empty() && turn.left_out == 0 {
        None
    } else {
        Some(blob::lines(&turn.lines, turn.left_out).into())
    };
    Ok((turn.is_initialized, turn.writes_log, lines))
}

/// Tells the node that no heartbeats will come, although Lua is running.
fn end_heartbeats(lua: &Lua, (): ()) -> Answer<bool> {
    node().end_heartbeats(&own_waker(lua)?);
    Ok(true)
}

/// Whether a Lua state writes the log. This one may not have a waker yet, and gets none by asking.
fn is_log_written(_: &Lua, (): ()) -> Answer<bool> {
    Ok(node().is_log_written())
}

/// The time that Lua's clock shows, in µs, and for how many seconds it has stood still.
fn lua_time(shown: Option<f64>, lag: f64) -> Option<LuaTime> {
    let shown = Micros(shown? as u64);
    let lag = Duration::try_from_secs_f64(lag).unwrap_or_default();
    Some(LuaTime { shown, lag })
}

/// Errors that users compare with.
const PARSE_ERROR: &str = "parse error";
const PING_NOT_SENT: &str = "ping was not sent";

fn parse(uri: &BString) -> Answer<Uri> {
    match Uri::parse(&text(uri)) {
        Ok(uri) => Ok(uri),
        Err(_) => Err(Message(PARSE_ERROR.into())),
    }
}

/// Copies a text. One that is not UTF-8 is no name of anything; the parser will refuse it.
fn text(bytes: &BString) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
