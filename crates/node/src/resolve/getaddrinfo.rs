//! The name resolver of the system.

use core::ffi::CStr;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use core::ptr;
use std::ffi::CString;
use std::io;

use nix::sys::socket::{SockaddrLike, SockaddrStorage};

use crate::error::system_text;
use crate::net::family::Family;
use crate::resolve::resolver::Families;

/// How many addresses of a name are used, of each family. A name has more where it stands for a service, and
/// not for a machine.
const ADDRESSES_MAX: usize = 8;

/// Looks up the addresses of `host`. Returns them with port 0, or the text of the system that says why there are
/// none. Blocks until the resolver answers or gives up.
pub fn resolve(host: &str, families: Families) -> Result<Vec<SocketAddr>, String> {
    match families {
        Families::V4 => getaddrinfo(host, Family::V4),
        Families::V6 => getaddrinfo(host, Family::V6),
        Families::V4First => match getaddrinfo(host, Family::V4) {
            Ok(addresses) => Ok(addresses),
            Err(reason) => getaddrinfo(host, Family::V6).map_err(|_| reason),
        },
        Families::Both => match getaddrinfo(host, Family::V4) {
            Ok(mut addresses) => {
                addresses.extend(getaddrinfo(host, Family::V6).unwrap_or_default());
                Ok(addresses)
            }
            Err(reason) => getaddrinfo(host, Family::V6).map_err(|_| reason),
        },
    }
}

/// Looks up the addresses of `host` that are of one family.
fn getaddrinfo(host: &str, family: Family) -> Result<Vec<SocketAddr>, String> {
    let Ok(host) = CString::new(host) else {
        return Err(unknown_name());
    };
    let hints = libc::addrinfo {
        ai_flags: 0,
        ai_family: match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        },
        ai_socktype: libc::SOCK_DGRAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    let mut list = ptr::null_mut();
    // SAFETY: `host` is a C string, a null service means none, and `hints` and `list` are valid for the
    // time of the call. POSIX promises that several threads may call it at once.
    let code =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code != 0 {
        return Err(reason(code));
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    // SAFETY: POSIX promises that a call that succeeds returns a linked list that ends with null, and that it is
    // valid until `freeaddrinfo`.
    while let Some(found) = unsafe { entry.as_ref() }
        && addresses.len() < ADDRESSES_MAX
    {
        // SAFETY: the address of an entry is valid as long as the list. nix copies it, and rejects a length
        // that does not fit its family.
        let address = unsafe { SockaddrStorage::from_raw(found.ai_addr, Some(found.ai_addrlen)) };
        if let Some(address) = address
            && let Some(address) = socket_address(&address)
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
        entry = found.ai_next;
    }
    // SAFETY: `list` was made by `getaddrinfo`, and nothing refers to it any more.
    unsafe { libc::freeaddrinfo(list) };
    if addresses.is_empty() {
        return Err(unknown_name());
    }
    Ok(addresses)
}

/// `address`, if it is one of IPv4 or IPv6.
pub fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}

fn reason(code: libc::c_int) -> String {
    if code == libc::EAI_SYSTEM {
        return system_text(&io::Error::last_os_error());
    }
    // SAFETY: POSIX promises a C string for every number. In glibc it is a constant, or its translation
    // in a catalogue of messages that stays mapped.
    let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
    text.to_string_lossy().into_owned()
}

fn unknown_name() -> String {
    reason(libc::EAI_NONAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_resolve_within_their_family() {
        assert_eq!(
            getaddrinfo("localhost", Family::V4),
            Ok(vec![([127, 0, 0, 1], 0).into()])
        );
        assert_eq!(
            getaddrinfo("127.1", Family::V4),
            Ok(vec![([127, 0, 0, 1], 0).into()])
        );
        assert_eq!(
            getaddrinfo("0:0::1", Family::V6),
            Ok(vec![([0, 0, 0, 0, 0, 0, 0, 1], 0).into()])
        );
        assert!(getaddrinfo("127.0.0.1", Family::V6).is_err());
    }

    #[test]
    fn a_name_that_has_no_ipv4_is_looked_up_in_ipv6() {
        let six = Ok(vec![SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))]);
        assert_eq!(resolve("::1", Families::V4First), six);
        assert_eq!(resolve("::1", Families::Both), six);
        assert!(resolve("::1", Families::V4).is_err());
        let four = Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
        assert_eq!(resolve("127.0.0.1", Families::V4First), four);
        assert_eq!(resolve("127.0.0.1", Families::Both), four);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_zone_is_part_of_the_address() {
        let found = getaddrinfo("fe80::1%lo", Family::V6).unwrap();
        let [SocketAddr::V6(address)] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(address.scope_id(), 1, "the loopback interface is the first");
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn an_invalid_name_fails_with_the_error_of_the_system() {
        // The name is refused before a name server is asked.
        let failure = getaddrinfo("a..b", Family::V4).unwrap_err();
        assert_eq!(failure, "Name or service not known");
    }
}
