//! A program that takes part, and then forks: to go on in the background, as
//! `box.cfg{background = true}` does, or to run something else.
//!
//! A program of its own, which runs itself in these two roles: nothing of a test harness is to be
//! in a process that forks.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{BorrowedFd, RawFd};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use membership::node::{Node, clock, node};
use membership::swim::claim::Status;
use membership::swim::config::Setting;
use membership::swim::member::Member;
use membership::swim::uri::Uri;
use membership::swim::{Outcome, Refused};
use rustix::event::{PollFd, PollFlags, poll};

const OBSERVER_PORT: u16 = 33_300;

fn main() {
    let args: Vec<String> = env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["background", port] => go_to_the_background(port.parse().unwrap()),
        ["helper", port] => run_a_helper(port.parse().unwrap()),
        _ => {
            the_group_does_not_notice_that_a_member_goes_to_the_background();
            a_member_that_forks_to_run_something_else_stays();
        }
    }
}

fn the_group_does_not_notice_that_a_member_goes_to_the_background() {
    let observer = observer();
    let mut parent = Role::start("background", 33_301);
    let member = uri(33_301);
    eventually("it has joined", || seen(&observer, &member).is_some());
    let before = seen(&observer, &member).unwrap();
    assert!(
        parent.process.wait().unwrap().success(),
        "the parent has exited"
    );
    // The child waits for this on a bell that it has from its parent.
    observer
        .with_swim(|swim, now| swim.set_payload(b"\x91\x01", now))
        .unwrap()
        .unwrap();
    eventually("it has said who it is", || {
        seen(&observer, &member)
            .and_then(|member| pid(&member))
            .is_some()
    });
    let after = seen(&observer, &member).unwrap();
    assert_ne!(pid(&after), Some(parent.process.id()), "that is the child");
    // One incarnation for the payload; none was needed to refute anything.
    assert_eq!(
        after.claim.incarnation.get(),
        before.claim.incarnation.get() + 1
    );
    assert_eq!(after.claim.status, Status::Alive);
    assert_eq!(probed(&observer, &member), Outcome::Answered);
    parent.end();
    eventually("it has left", || {
        seen(&observer, &member).unwrap().claim.status == Status::Left
    });
    eventually("its port is free", || {
        UdpSocket::bind(("0.0.0.0", 33_301)).is_ok()
    });
    println!("ok - the group does not notice that a member goes to the background");
}

/// What such a member does.
fn go_to_the_background(port: u16) {
    join(port);
    let bell = node().open_bell().unwrap();
    fork_and_exit();
    let observer = uri(OBSERVER_PORT);
    until_rung(bell, || {
        let payload = node()
            .view(|swim| swim.member(&observer)?.payload.clone())
            .unwrap();
        payload.is_some_and(|payload| payload.bytes() == b"\x91\x01")
    });
    // It has a resolver again.
    let nobody = Uri::new("no..such..name", 1).unwrap();
    let ticket = node()
        .with_swim(|swim, now| swim.probe(&nobody, now))
        .unwrap()
        .unwrap();
    until_rung(bell, || {
        node().view(|swim| swim.outcome(ticket)) == Ok(Outcome::Unsent)
    });
    let payload = [&[0x91, 0xce][..], &process::id().to_be_bytes()].concat();
    node()
        .with_swim(|swim, now| swim.set_payload(&payload, now))
        .unwrap()
        .unwrap();
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(node().leave(), Ok(true));
}

fn a_member_that_forks_to_run_something_else_stays() {
    let observer = observer();
    let mut role = Role::start("helper", 33_302);
    let member = uri(33_302);
    let mut line = String::new();
    BufReader::new(role.process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "the helper is done\n");
    // Only by itself can its engine have gone on: it has made no call since.
    assert_eq!(probed(&observer, &member), Outcome::Answered);
    let claim = seen(&observer, &member).unwrap().claim;
    assert_eq!(
        (claim.status, claim.incarnation.get()),
        (Status::Alive, 1),
        "never in doubt"
    );
    role.end();
    eventually("it has left", || {
        seen(&observer, &member).unwrap().claim.status == Status::Left
    });
    println!("ok - a member that forks to run something else stays");
}

/// What such a member does.
fn run_a_helper(port: u16) {
    join(port);
    // SAFETY: the child replaces itself before it touches anything.
    let helper = unsafe { libc::fork() };
    if helper == 0 {
        let arguments = [c"true".as_ptr(), std::ptr::null()];
        // SAFETY: the arguments end with a null pointer.
        unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
        // SAFETY: nobody is left to be harmed.
        unsafe { libc::_exit(1) };
    }
    let mut status = 0;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(helper, &raw mut status, 0) }, helper);
    assert_eq!(status, 0);
    println!("the helper is done");
    io::stdout().flush().unwrap();
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(node().leave(), Ok(true));
}

/// Goes on in a child. The parent exits as C programs do, with all its handlers.
fn fork_and_exit() {
    // SAFETY: only our threads are there besides this one, and they are what is tested.
    if unsafe { libc::fork() } != 0 {
        process::exit(0);
    }
}

/// As a child must not go on where its parent is: with the same numbers.
fn authenticate(node: &Node) {
    let cipher = Setting::Text(b"xchacha20-poly1305".to_vec());
    node.with_swim(|swim, now| {
        swim.assign("ENCRYPTION_CIPHER", cipher, now)?;
        swim.set_encryption_key(Some(b"a key"));
        Ok::<_, Refused>(())
    })
    .unwrap()
    .unwrap();
}

fn join(port: u16) {
    let observer = uri(OBSERVER_PORT);
    authenticate(node());
    node().init("localhost", port, None).unwrap();
    node()
        .with_swim(|swim, now| swim.add_member(observer.clone(), now))
        .unwrap();
    eventually("the observer has answered", || {
        node()
            .view(|swim| swim.member(&observer).and_then(|member| member.clock_delta))
            .unwrap()
            .is_some()
    });
    be_patient(node());
}

/// On a busy machine a probe may take a while; what is tested is that it is answered at all.
fn be_patient(node: &Node) {
    let period = Setting::Number(5.0);
    node.with_swim(|swim, now| swim.assign("PROTOCOL_PERIOD_SECONDS", period, now))
        .unwrap()
        .unwrap();
}

/// This program in another role, until its input ends.
struct Role {
    process: Child,
    // Apart, since `Child::wait` would close it.
    input: Option<ChildStdin>,
}

impl Role {
    fn start(name: &str, port: u16) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([name, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        Self { process, input }
    }

    fn end(&mut self) {
        drop(self.input.take());
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.end();
        let _ = self.process.wait();
    }
}

fn uri(port: u16) -> Uri {
    Uri::new("localhost", port).unwrap()
}

fn observer() -> Node {
    let observer = Node::new();
    authenticate(&observer);
    observer.init("localhost", OBSERVER_PORT, None).unwrap();
    be_patient(&observer);
    observer
}

fn seen(observer: &Node, member: &Uri) -> Option<Member> {
    observer.view(|swim| swim.member(member).cloned()).unwrap()
}

/// Whom a member says it is.
fn pid(member: &Member) -> Option<u32> {
    let pid = member.payload.as_ref()?.bytes().strip_prefix(b"\x91\xce")?;
    Some(u32::from_be_bytes(pid.try_into().ok()?))
}

fn probed(observer: &Node, member: &Uri) -> Outcome {
    let ticket = observer
        .with_swim(|swim, now| swim.probe(member, now))
        .unwrap()
        .unwrap();
    let outcome = || observer.view(|swim| swim.outcome(ticket)).unwrap();
    eventually("the probe is decided", || outcome() != Outcome::Waiting);
    outcome()
}

fn until_rung(bell: RawFd, holds: impl Fn() -> bool) {
    // SAFETY: the node is there for ever, and its bells with it.
    let descriptor = unsafe { BorrowedFd::borrow_raw(bell) };
    while !holds() {
        let mut fds = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        let patience = Duration::from_secs(30).try_into().unwrap();
        assert_eq!(
            poll(&mut fds, Some(&patience)).unwrap(),
            1,
            "nobody has rung"
        );
        node().hush_bell(bell);
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let give_up = clock::monotonic() + Duration::from_secs(30);
    while !holds() {
        assert!(clock::monotonic() < give_up, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
