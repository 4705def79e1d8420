//! A program that is a member, and then forks: to go on in the background, as
//! `box.cfg{background = true}` does, or to run something else.
//!
//! A program of its own, which runs itself in these two roles: nothing of a test harness is to be
//! in a process that forks.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use node::net::poll::{PollFd, PollFlags, poll};
use node::{Node, Waker, clock, node};
use swim::config::Setting;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;
use swim::{PingOutcome, Refused, Swim};

const OBSERVER_PORT: u16 = 33_300;

fn main() {
    let args: Vec<String> = env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["background", port] => go_to_the_background(port.parse().unwrap()),
        ["helper", port] => run_a_helper(port.parse().unwrap()),
        ["worker", port] => fork_workers(port.parse().unwrap()),
        ["late", port] => go_to_the_background_late(port.parse().unwrap()),
        _ => {
            the_group_does_not_notice_that_a_member_goes_to_the_background();
            a_member_that_forks_to_run_something_else_stays();
            a_child_that_lives_on_has_no_part_in_what_its_parent_does();
            a_child_sends_what_it_was_given_while_its_parent_lived();
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
    // The child waits for this with a waker that it has from its parent.
    observer
        .with_swim(|swim, now| swim.set_payload(b"\x91\x01", now))
        .unwrap()
        .unwrap();
    eventually("the payload shows its pid", || {
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
    assert_eq!(probed(&observer, &member), PingOutcome::Answered);
    parent.end();
    eventually("it has left", || {
        seen(&observer, &member).unwrap().claim.status == Status::Left
    });
    eventually("its port is free", || {
        UdpSocket::bind(("0.0.0.0", 33_301)).is_ok()
    });
    println!("ok - the group does not notice that a member goes to the background");
}

/// The program of that member.
fn go_to_the_background(port: u16) {
    join(port);
    let waker = node().open_waker().unwrap();
    fork_and_exit();
    let observer = uri(OBSERVER_PORT);
    until_woken(&waker, || {
        payload_of(&observer).as_deref() == Some(b"\x91\x01")
    });
    // It has a resolver again.
    let unresolvable = Uri::new("no..such..name", 1).unwrap();
    let ticket = node()
        .with_swim(|swim, now| swim.probe(&unresolvable, now))
        .unwrap()
        .unwrap();
    until_woken(&waker, || {
        node().view(|swim| swim.outcome(ticket)) == Ok(PingOutcome::Unsent)
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
    assert_eq!(probed(&observer, &member), PingOutcome::Answered);
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

/// The program of that member.
fn run_a_helper(port: u16) {
    join(port);
    // SAFETY: the child replaces itself before it touches anything.
    let helper = unsafe { libc::fork() };
    if helper == 0 {
        let arguments = [c"true".as_ptr(), std::ptr::null()];
        // SAFETY: the arguments end with a null pointer.
        unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
        // SAFETY: the process ends without running any handler.
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

fn a_child_that_lives_on_has_no_part_in_what_its_parent_does() {
    let observer = observer();
    let mut role = Role::start("worker", 33_303);
    let member = uri(33_303);
    let mut lines = BufReader::new(role.process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "forked");
    // Its engine has gone on through a hundred forks, and no worker has said anything.
    assert_eq!(probed(&observer, &member), PingOutcome::Answered);
    let claim = seen(&observer, &member).unwrap().claim;
    assert_eq!((claim.status, claim.incarnation.get()), (Status::Alive, 1));

    role.end();
    assert_eq!(lines.next().unwrap().unwrap(), "left");
    // The worker lives: it holds the output open until it reads that it has to end.
    UdpSocket::bind(("0.0.0.0", 33_303)).expect("the port is free at once");
    eventually("it has left", || {
        seen(&observer, &member).unwrap().claim.status == Status::Left
    });
    assert!(role.process.wait().unwrap().success());
    // Which it says after some seconds.
    assert_eq!(lines.next().unwrap().unwrap(), "the worker has no part");
    let status = seen(&observer, &member).unwrap().claim.status;
    assert_eq!(status, Status::Left, "though its worker has lived on");
    println!("ok - a child that lives on has no part in what its parent does");
}

/// The program of that member.
fn fork_workers(port: u16) {
    join(port);
    for _ in 0..100 {
        // SAFETY: the child ends before it touches anything.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the process ends without running any handler.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        thread::sleep(Duration::from_millis(10));
    }
    let (mut reader, mut writer) = io::pipe().unwrap();
    // SAFETY: only our threads are there besides this one, and they are what is tested.
    if unsafe { libc::fork() } == 0 {
        drop(writer);
        // The payload must not be sent, and must do no harm.
        let _ = node().with_swim(|swim, now| swim.set_payload(b"\x91\x02", now));
        reader.read_to_end(&mut Vec::new()).unwrap();
        eventually("it has let go", || {
            node().view(|swim| swim.myself().is_none()).unwrap()
        });
        // Long enough to be seen, had it taken over.
        thread::sleep(Duration::from_secs(4));
        println!("the worker has no part");
        process::exit(0);
    }
    println!("forked");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(node().leave(), Ok(true));
    println!("left");
    writer.write_all(b"x").unwrap();
}

fn a_child_sends_what_it_was_given_while_its_parent_lived() {
    let observer = observer();
    let mut parent = Role::start("late", 33_304);
    let member = uri(33_304);
    let mut lines = BufReader::new(parent.process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "the child waits");
    assert_eq!(probed(&observer, &member), PingOutcome::Answered);
    assert_eq!(seen(&observer, &member).as_ref().and_then(pid), None);
    parent.end();
    assert!(parent.process.wait().unwrap().success());
    eventually("the payload shows the pid of the grandchild", || {
        seen(&observer, &member).as_ref().and_then(pid).is_some()
    });
    let claim = seen(&observer, &member).unwrap().claim;
    assert_eq!((claim.status, claim.incarnation.get()), (Status::Alive, 2));
    assert_eq!(probed(&observer, &member), PingOutcome::Answered);
    assert_eq!(lines.next().unwrap().unwrap(), "the probe was answered");
    observer
        .with_swim(|swim, now| swim.set_payload(b"\x91\x03", now))
        .unwrap()
        .unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "the end");
    println!("ok - a child sends what it was given while its parent lived");
}

/// The program of that member: forks twice, and ends only when its input does.
fn go_to_the_background_late(port: u16) {
    join(port);
    // SAFETY: only our threads are there besides this one, and they are what is tested.
    if unsafe { libc::fork() } != 0 {
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        process::exit(0);
    }
    // SAFETY: as before.
    if unsafe { libc::fork() } != 0 {
        process::exit(0);
    }
    let payload = [&[0x91, 0xce][..], &process::id().to_be_bytes()].concat();
    let observer = uri(OBSERVER_PORT);
    let ticket = node()
        .with_swim(|swim, now| {
            swim.set_payload(&payload, now)?;
            swim.probe(&observer, now)
        })
        .unwrap()
        .unwrap();
    println!("the child waits");
    eventually("the probe is answered", || {
        node().view(|swim| swim.outcome(ticket)) == Ok(PingOutcome::Answered)
    });
    println!("the probe was answered");
    eventually("the observer has seen enough", || {
        payload_of(&observer).as_deref() == Some(b"\x91\x03")
    });
    println!("the end");
}

/// Goes on in a child. The parent exits as C programs do, with all its handlers.
fn fork_and_exit() {
    // SAFETY: only our threads are there besides this one, and they are what is tested.
    if unsafe { libc::fork() } != 0 {
        process::exit(0);
    }
}

/// What this process knows of the payload of a member.
fn payload_of(member: &Uri) -> Option<Vec<u8>> {
    let payload = |swim: &Swim| Some(swim.member(member)?.payload.as_ref()?.bytes().to_vec());
    node().view(payload).unwrap()
}

/// As a child must not go on where its parent is: with the same numbers.
fn authenticate(node: &Node) {
    let cipher = Setting::Text(b"xchacha20-poly1305".to_vec());
    node.with_swim(|swim, now| {
        swim.assign("ENCRYPTION_CIPHER", cipher, now)?;
        swim.set_encryption_key(Some(b"a key"), now);
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
    // Not in `process`, because `Child::wait` would close it.
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

/// The pid that a member has in its payload.
fn pid(member: &Member) -> Option<u32> {
    let pid = member.payload.as_ref()?.bytes().strip_prefix(b"\x91\xce")?;
    Some(u32::from_be_bytes(pid.try_into().ok()?))
}

fn probed(observer: &Node, member: &Uri) -> PingOutcome {
    let ticket = observer
        .with_swim(|swim, now| swim.probe(member, now))
        .unwrap()
        .unwrap();
    let outcome = || observer.view(|swim| swim.outcome(ticket)).unwrap();
    eventually("the probe is decided", || outcome() != PingOutcome::Waiting);
    outcome()
}

fn until_woken(waker: &Waker, holds: impl Fn() -> bool) {
    while !holds() {
        let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
        let patience = Duration::from_secs(30);
        assert_eq!(poll(&mut fds, patience).unwrap(), 1, "not woken");
        waker.clear();
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let give_up = clock::monotonic() + Duration::from_secs(30);
    while !holds() {
        assert!(clock::monotonic() < give_up, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
