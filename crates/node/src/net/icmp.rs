//! What has become of datagrams that were not delivered: hosts on their way send word of them
//! (ICMP), and Linux passes it on where it is asked to. Elsewhere nothing is ever heard.

use core::net::SocketAddr;

#[cfg(target_os = "linux")]
pub use linux::{ask_for_word, take_word};
#[cfg(not(target_os = "linux"))]
pub use nowhere::{ask_for_word, take_word};

/// Word of a datagram that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nothing is heard there")
)]
pub enum Word {
    /// Nobody has the port that it was sent to.
    Refused(SocketAddr),
    /// There is no way to the host, or not for a datagram of that size: nothing about the recipient.
    Astray,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsFd, AsRawFd};

    use nix::errno::Errno;
    use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, setsockopt,
    };

    use super::Word;
    use crate::net::socket::Family;
    use crate::resolve::getaddrinfo::socket_address;

    /// Asks for word of what is sent from `socket`.
    ///
    /// From then on a call to send or receive may fail with what an *earlier* datagram has met with.
    pub fn ask_for_word(socket: &impl AsFd, family: Family) -> nix::Result<()> {
        match family {
            Family::V4 => setsockopt(socket, Ipv4RecvErr, &true),
            Family::V6 => setsockopt(socket, Ipv6RecvErr, &true),
        }
    }

    /// Takes the next word there is.
    pub fn take_word(socket: &impl AsFd) -> Option<Word> {
        // What was sent comes with it, but nobody wants to know.
        let (mut nothing, flags) = ([], MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT);
        let mut room = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let fd = socket.as_fd().as_raw_fd();
        let word = recvmsg::<SockaddrStorage>(fd, &mut nothing, Some(&mut room), flags);
        Some(read(&word.ok()?).unwrap_or(Word::Astray))
    }

    fn read(word: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Word> {
        let refused = word.cmsgs().ok()?.any(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) => {
                error.ee_origin == libc::SO_EE_ORIGIN_ICMP && is_refusal(&error)
            }
            ControlMessageOwned::Ipv6RecvErr(error, _) => {
                error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 && is_refusal(&error)
            }
            _ => false,
        });
        refused.then_some(Word::Refused(socket_address(word.address.as_ref()?)?))
    }

    fn is_refusal(error: &libc::sock_extended_err) -> bool {
        i32::try_from(error.ee_errno) == Ok(Errno::ECONNREFUSED as i32)
    }
}

#[cfg(not(target_os = "linux"))]
mod nowhere {
    use std::os::fd::AsFd;

    use crate::Word;
    use crate::net::socket::Family;

    /// Does nothing: there is nobody to ask.
    pub fn ask_for_word(_: &impl AsFd, _: Family) -> std::io::Result<()> {
        Ok(())
    }

    /// There is none.
    pub fn take_word(_: &impl AsFd) -> Option<Word> {
        None
    }
}
