//! The name resolver of the system.

use core::ffi::CStr;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use core::ptr;
use std::ffi::CString;
use std::io;

use nix::sys::socket::{SockaddrLike, SockaddrStorage};

use crate::error::system_text;
use crate::net::socket::Family;

/// Looks up the first address of `host` that is of this family. Returns it with port 0, or the text of
/// the system that says why there is none. Blocks until the resolver answers or gives up.
pub fn getaddrinfo(host: &str, family: Family) -> Result<SocketAddr, String> {
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
    // SAFETY: POSIX promises that a call that succeeds returns a list of at least one entry, whose address
    // is valid until `freeaddrinfo`. nix copies it, and rejects a length that does not fit its family.
    let address = unsafe { SockaddrStorage::from_raw((*list).ai_addr, Some((*list).ai_addrlen)) };
    // SAFETY: `list` was made by `getaddrinfo`, and nothing refers to it any more.
    unsafe { libc::freeaddrinfo(list) };
    if let Some(address) = address
        && let Some(address) = socket_address(&address)
    {
        return Ok(address);
    }
    Err(unknown_name())
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
            Ok(([127, 0, 0, 1], 0).into())
        );
        assert_eq!(
            getaddrinfo("127.1", Family::V4),
            Ok(([127, 0, 0, 1], 0).into())
        );
        assert_eq!(
            getaddrinfo("0:0::1", Family::V6),
            Ok(([0, 0, 0, 0, 0, 0, 0, 1], 0).into())
        );
        assert!(getaddrinfo("127.0.0.1", Family::V6).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_zone_is_part_of_the_address() {
        let Ok(SocketAddr::V6(address)) = getaddrinfo("fe80::1%lo", Family::V6) else {
            panic!()
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
