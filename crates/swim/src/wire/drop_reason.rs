//! Why a datagram was dropped, for counters, log and hints.

use thiserror::Error;

use crate::wire::msgpack::NotMsgpack;

/// Why a datagram was dropped. Says what the peer did wrong, never what we were doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[error("{}", self.name())]
pub enum DropReason {
    /// Longer than we take any, see [`datagram_size_max`].
    ///
    /// [`datagram_size_max`]: crate::config::Config::datagram_size_max
    Oversized,
    /// From an address that is in none of `ALLOWED_NETWORKS`. Nothing of it was read.
    Elsewhere,
    /// Of a sender that is not on the strict list of members.
    NotAllowed,
    /// Not encrypted with the local key.
    Undecryptable,
    /// Plain, or encrypted in the way of membership 2.x, where only what is authenticated is taken.
    NotSealed,
    /// Sealed with a key that we do not have.
    UnknownKey,
    /// Sealed with another key than it says, or changed on its way.
    Forged,
    /// Changed on its way: its checksum is wrong, or what is behind the message makes no sense.
    Corrupt,
    /// Of a group with another label, or with none where the local node has one.
    OtherGroup,
    /// Sent to another member.
    Misdirected,
    /// It has come before.
    Replayed,
    /// It may have come before: its sender has not shown yet that it lives now.
    Unconfirmed,
    /// Cut short, nested too deep, or not MessagePack at all: what is encrypted looks like this
    /// without the key.
    NotMsgpack,
    /// MessagePack, but not an array of four.
    NotAMessage,
    /// The sender is not `host:port`, so there is nowhere to answer to; or in the short form, is not known here.
    Sender,
    /// A type of message that we do not know.
    Type,
    /// The data does not fit the type: a PING without `src` or `dst`, an ACK without `src`, a sync of
    /// no list.
    Data,
}

impl DropReason {
    /// All of them, for counting.
    pub const ALL: [Self; 17] = [
        Self::Oversized,
        Self::Elsewhere,
        Self::NotAllowed,
        Self::Undecryptable,
        Self::NotSealed,
        Self::UnknownKey,
        Self::Forged,
        Self::Corrupt,
        Self::OtherGroup,
        Self::Misdirected,
        Self::Replayed,
        Self::Unconfirmed,
        Self::NotMsgpack,
        Self::NotAMessage,
        Self::Sender,
        Self::Type,
        Self::Data,
    ];

    /// Whether a datagram with another key, or none, may look like this. Where datagrams are
    /// authenticated nothing does: any sender could send such in the name of others.
    pub const fn may_be_wrong_key(self) -> bool {
        matches!(
            self,
            Self::Undecryptable | Self::NotMsgpack | Self::NotAMessage
        )
    }

    /// Whether a datagram of an instance with another key, cipher or label looks like this.
    pub const fn may_be_another_setting(self) -> bool {
        self.may_be_wrong_key()
            || matches!(self, Self::UnknownKey | Self::NotSealed | Self::OtherGroup)
    }

    /// What to tell an operator about a member that is not heard.
    pub const fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Oversized => Some("longer than MAX_PACKET_SIZE, and longer than 1472 bytes"),
            Self::Elsewhere => Some("from an address that is in none of ALLOWED_NETWORKS"),
            Self::NotAllowed => {
                Some("of a sender that is not on the strict list of set_allowed_members")
            }
            Self::OtherGroup => Some("of a group with another GROUP_LABEL"),
            Self::UnknownKey => {
                Some("sealed with an encryption key that this instance does not have")
            }
            Self::NotSealed => {
                Some("not authenticated, and ENCRYPTION_CIPHER accepts nothing else")
            }
            _ => None,
        }
    }

    /// Its name among the counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Elsewhere => "elsewhere",
            Self::NotAllowed => "not_allowed",
            Self::Undecryptable => "undecryptable",
            Self::NotSealed => "not_sealed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Corrupt => "corrupt",
            Self::OtherGroup => "other_group",
            Self::Misdirected => "misdirected",
            Self::Replayed => "replayed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotMsgpack => "not_msgpack",
            Self::NotAMessage => "not_a_message",
            Self::Sender => "sender",
            Self::Type => "type",
            Self::Data => "data",
        }
    }
}

impl From<NotMsgpack> for DropReason {
    fn from(NotMsgpack: NotMsgpack) -> Self {
        Self::NotMsgpack
    }
}
