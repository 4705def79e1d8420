//! The network interfaces of this machine.

use core::net::Ipv4Addr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::error::system_text;

/// An IPv4 address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The system's name for the interface.
    pub name: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The address that reaches all hosts of the network, if it has one.
    pub broadcast: Option<Ipv4Addr>,
}

impl Interface {
    /// The address that reaches as many hosts of the network as can be reached: at least this one.
    pub fn widest_address(&self) -> Ipv4Addr {
        self.broadcast.unwrap_or(self.address)
    }
}

/// The IPv4 addresses of the interfaces that are up, in the order of the system; or its error.
pub fn interfaces() -> Result<Vec<Interface>, String> {
    let all = match getifaddrs() {
        Ok(all) => all,
        Err(number) => return Err(system_text(&number.into())),
    };
    let mut interfaces = Vec::new();
    for entry in all {
        interfaces.extend(read(&entry));
    }
    Ok(interfaces)
}

fn read(entry: &InterfaceAddress) -> Option<Interface> {
    let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    if !entry.flags.contains(up) {
        return None;
    }
    let broadcast = match v4(entry.broadcast.as_ref()) {
        // Some tools fill it with zeroes.
        Some(Ipv4Addr::UNSPECIFIED) => None,
        broadcast => broadcast,
    };
    Some(Interface {
        name: entry.interface_name.clone(),
        address: v4(entry.address.as_ref())?,
        broadcast,
    })
}

fn v4(address: Option<&SockaddrStorage>) -> Option<Ipv4Addr> {
    Some(address?.as_sockaddr_in()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(
        flags: InterfaceFlags,
        address: [u8; 4],
        broadcast: Option<[u8; 4]>,
    ) -> InterfaceAddress {
        let storage =
            |ip: [u8; 4]| SockaddrStorage::from(std::net::SocketAddrV4::new(ip.into(), 0));
        InterfaceAddress {
            interface_name: "eth0".into(),
            flags,
            address: Some(storage(address)),
            netmask: None,
            broadcast: broadcast.map(storage),
            destination: None,
        }
    }

    #[test]
    fn an_interface_that_is_up_reaches_its_network_or_at_least_itself() {
        let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        let widest = |broadcast| {
            let interface = read(&entry(up, [10, 0, 0, 1], broadcast));
            interface.unwrap().widest_address().octets()
        };
        assert_eq!(widest(Some([10, 0, 0, 255])), [10, 0, 0, 255]);
        assert_eq!(widest(None), [10, 0, 0, 1]);
        assert_eq!(widest(Some([0; 4])), [10, 0, 0, 1]);
        // Its cable is unplugged.
        assert_eq!(
            read(&entry(InterfaceFlags::IFF_UP, [10, 0, 0, 1], None)),
            None
        );
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let all = interfaces().unwrap();
        let loopback = all.iter().find(|it| it.address == Ipv4Addr::LOCALHOST);
        assert_eq!(loopback.unwrap().widest_address(), Ipv4Addr::LOCALHOST);
    }
}
