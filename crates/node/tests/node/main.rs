//! Nodes on the loopback interface: real threads, sockets and clocks.

mod calls;
#[cfg(target_os = "linux")]
mod closed_ports;
mod group;
mod names;
mod stall;
mod wakers;

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use node::net::poll::{PollFd, PollFlags, poll};
use node::{Node, Waker, clock};
use swim::PingOutcome;
use swim::identity::uri::Uri;
use swim::table::claim::Status;

const LOCALHOST: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Waits until `holds`.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = clock::monotonic() + Duration::from_secs(30);
    while !holds() {
        assert!(clock::monotonic() < give_up, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn uri(host: &str, port: u16) -> Uri {
    Uri::new(host, port).unwrap()
}

fn started(port: u16) -> Node {
    let node = Node::new();
    node.init("127.0.0.1", port, None).unwrap();
    node
}

fn add(node: &Node, member: &Uri) {
    node.with_swim(|swim, now| swim.add_member(member.clone(), now))
        .unwrap();
}

fn status(node: &Node, member: &Uri) -> Option<Status> {
    node.view(|swim| swim.member(member).map(|member| member.claim.status))
        .unwrap()
}

fn sees(node: &Node, member: &Uri, expected: Status) {
    eventually(&format!("{member} is {expected}"), || {
        status(node, member) == Some(expected)
    });
}

fn assign(node: &Node, option: &str, value: f64) {
    use swim::config::Setting;
    node.with_swim(|swim, now| swim.assign(option, Setting::Number(value), now))
        .unwrap()
        .unwrap();
}

fn outcome(node: &Node, member: &Uri) -> PingOutcome {
    let ticket = node
        .with_swim(|swim, now| swim.probe(member, now))
        .unwrap()
        .unwrap();
    let ask = || node.view(|swim| swim.outcome(ticket)).unwrap();
    eventually(&format!("the probe of {member} is decided"), || {
        ask() != PingOutcome::Waiting
    });
    ask()
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("0.0.0.0", port)).is_ok()
}

fn turns_readable(waker: &Waker, patience: Duration) -> bool {
    let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
    poll(&mut fds, patience).unwrap() == 1
}
