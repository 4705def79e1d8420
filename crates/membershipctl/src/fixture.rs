//! For tests of queries: the tool as an instance sees it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::wire::{MessageBuilder, MessageType, PingData, ack_data};

/// The address of the tool.
pub const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9999);

pub fn uri(port: u16) -> Uri {
    Uri::new("a", port).expect("a port")
}

pub fn at(micros: u64) -> Now {
    Now {
        monotonic: Micros(micros),
        wall: Micros(micros),
    }
}

/// Answers a ping, without a checksum, as membership 2.x does.
pub fn answer(ping: &PingData<'_>, tool: &Uri) -> Vec<u8> {
    let data = ack_data(ping.raw, Micros(1));
    let draft = MessageBuilder::with_data(MessageType::Ack, tool, &data, 1472);
    draft.finish().expect("it is short")
}
