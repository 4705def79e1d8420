//! ICMP errors: a host that cannot deliver a datagram says so, and Linux passes that on to the sender if it
//! is asked to. On other systems there are no such errors.

use core::net::SocketAddr;

#[cfg(target_os = "linux")]
pub use linux::{enable_icmp_errors, take_icmp_error};
#[cfg(not(target_os = "linux"))]
pub use unsupported::{enable_icmp_errors, take_icmp_error};

/// Why an earlier datagram was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "there are no errors on other systems")
)]
pub enum IcmpError {
    /// No process has the port at this address, to which the datagram was sent.
    PortClosed(SocketAddr),
    /// There is no route to the host, or not for a datagram of that size. That says nothing about the
    /// recipient.
    Undelivered,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsFd, AsRawFd};

    use nix::errno::Errno;
    use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, setsockopt,
    };

    use super::IcmpError;
    use crate::net::family::Reach;
    use crate::resolve::getaddrinfo::socket_address;

    /// Asks the system for the errors of datagrams that `socket` sends.
    ///
    /// From then on a call to send or receive may fail with the error of an *earlier* datagram.
    pub fn enable_icmp_errors(socket: &impl AsFd, reach: Reach) -> nix::Result<()> {
        if reach != Reach::V6 {
            setsockopt(socket, Ipv4RecvErr, &true)?;
        }
        if reach != Reach::V4 {
            setsockopt(socket, Ipv6RecvErr, &true)?;
        }
        Ok(())
    }

    /// Takes the next error, if there is one.
    pub fn take_icmp_error(socket: &impl AsFd) -> Option<IcmpError> {
        // The datagram itself comes with the error, and is not needed.
        let (mut nothing, flags) = ([], MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT);
        // The error, and behind it the address of the host that reports it: that of IPv6 is the larger.
        let mut room = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let fd = socket.as_fd().as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut nothing, Some(&mut room), flags).ok()?;
        Some(read(&message).unwrap_or(IcmpError::Undelivered))
    }

    fn read(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IcmpError> {
        for part in message.cmsgs().ok()? {
            let error = match part {
                ControlMessageOwned::Ipv4RecvErr(error, _)
                | ControlMessageOwned::Ipv6RecvErr(error, _) => error,
                _ => continue,
            };
            // A socket of both families gets the errors of IPv4 in the form of IPv6.
            let is_remote =
                [libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6].contains(&error.ee_origin);
            let is_refusal = i32::try_from(error.ee_errno) == Ok(Errno::ECONNREFUSED as i32);
            // The queue also has errors of this machine, such as a datagram larger than its interface takes.
            if is_remote && is_refusal {
                let recipient = message.address.as_ref()?;
                return Some(IcmpError::PortClosed(socket_address(recipient)?));
            }
        }
        None
    }
}

#[cfg(not(target_os = "linux"))]
mod unsupported {
    use std::os::fd::AsFd;

    use super::IcmpError;
    use crate::net::family::Reach;

    /// Does nothing.
    pub fn enable_icmp_errors(_: &impl AsFd, _: Reach) -> std::io::Result<()> {
        Ok(())
    }

    /// There is no error.
    pub fn take_icmp_error(_: &impl AsFd) -> Option<IcmpError> {
        None
    }
}
