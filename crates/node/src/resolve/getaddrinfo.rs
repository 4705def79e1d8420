//! The name resolver of the system.

use core::ffi::CStr;
use core::mem;
use core::net::SocketAddr;
use core::ptr;
use std::ffi::CString;
use std::io;

use socket2::SockAddr;

use crate::error::system_text;
use crate::net::socket::Family;

/// The first address of `host` that is of this kind, with port 0; else the system's own words.
/// Takes as long as it takes.
pub fn getaddrinfo(host: &str, family: Family) -> Result<SocketAddr, String> {
    let host = CString::new(host).map_err(|_| unknown_name())?;
    let family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    // SAFETY: all zeroes is how the hints are to be initialized, and null pointers are among them.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = family;
    hints.ai_socktype = libc::SOCK_DGRAM;
    let mut list = ptr::null_mut();
    // SAFETY: `host` is a C string, a service is not asked for, hints and list are valid.
    let code =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code != 0 {
        return Err(reason(code));
    }
    // SAFETY: the call has succeeded, so `list` has one entry at least.
    let address = unsafe { first(list) };
    // SAFETY: `list` was made by `getaddrinfo`, and is not used any more.
    unsafe { libc::freeaddrinfo(list) };
    address.ok_or_else(unknown_name)
}

/// # Safety
/// `list` was returned by `getaddrinfo`.
unsafe fn first(list: *const libc::addrinfo) -> Option<SocketAddr> {
    // SAFETY: as promised.
    let (address, length) = unsafe { ((*list).ai_addr, (*list).ai_addrlen) };
    if length as usize > size_of::<socket2::SockAddrStorage>() {
        return None;
    }
    let copy = |storage: *mut socket2::SockAddrStorage, size: *mut libc::socklen_t| {
        // SAFETY: `address` has `length` bytes, and the storage is no smaller.
        unsafe {
            ptr::copy_nonoverlapping(address.cast::<u8>(), storage.cast::<u8>(), length as usize);
            size.write(length);
        }
        Ok(())
    };
    // SAFETY: `copy` puts an address of its length into the storage.
    let ((), address) = unsafe { SockAddr::try_init(copy) }.ok()?;
    address.as_socket()
}

fn reason(code: libc::c_int) -> String {
    if code == libc::EAI_SYSTEM {
        return system_text(&io::Error::last_os_error());
    }
    // SAFETY: it returns a C string that is never freed, for every number.
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
    fn a_name_that_is_none_fails_with_the_words_of_the_system() {
        // The name is refused before anybody is asked.
        let failure = getaddrinfo("a..b", Family::V4).unwrap_err();
        assert_eq!(failure, "Name or service not known");
    }
}
