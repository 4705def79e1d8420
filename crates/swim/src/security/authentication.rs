//! Which form of datagram is sent to a member, and what goes along with it.

use core::net::SocketAddr;

use super::seal::Seal;
use super::seal::aead::Challenge;
use super::seal::keyring::KeyId;
use crate::identity::uri::Uri;

/// What goes along with all that is said to the sender of an authenticated datagram while it is being
/// dealt with.
#[derive(Debug)]
pub struct Reply {
    /// The sender.
    pub to: Uri,
    /// Where its datagram came from. A challenge and a response go there: so they reach it even if its
    /// URI leads elsewhere.
    pub source: SocketAddr,
    /// Asks it to show that it lives now.
    pub challenge: Option<Challenge>,
    /// Shows it that the local node does.
    pub response: Option<u64>,
    /// Whether anything was sent to it.
    pub sent: bool,
}

impl Reply {
    /// One that says nothing yet.
    pub fn new(to: &Uri, source: SocketAddr) -> Self {
        Self {
            to: to.clone(),
            source,
            challenge: None,
            response: None,
            sent: false,
        }
    }

    /// Where the next datagram to `to` goes, if it carries a challenge or a response.
    pub fn destination(&self, to: &Uri) -> Option<SocketAddr> {
        let carries = self.challenge.is_some() || self.response.is_some();
        (self.to == *to && !self.sent && carries).then_some(self.source)
    }
}

/// What others need to know to choose a form for the local node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    takes_aead: bool,
    offered_key: Option<KeyId>,
}

impl Seal<'_> {
    /// The forms that the local node takes.
    pub fn form(&self) -> Form {
        Form {
            takes_aead: self.takes_aead(),
            offered_key: self.offered_key(),
        }
    }

    /// By which others learn, from what is not authenticated, that the local node takes what is.
    pub fn offered_key(&self) -> Option<KeyId> {
        // Either the old form alone is taken, or nothing is sent in it that could say so.
        if !self.is_changing() {
            return None;
        }
        Some(self.keys.sending()?.id())
    }

    /// Whether the group is on the way from one form to the other.
    pub fn is_changing(&self) -> bool {
        self.takes_aead() && self.old_form().is_some()
    }

    /// The label that goes along with what is not authenticated.
    pub fn shown_label(&self) -> Vec<u8> {
        // Without an old form all is authenticated, and the label with it: nothing need show it.
        if self.old_form().is_some() {
            self.label.to_vec()
        } else {
            Vec::new()
        }
    }
}

/// How many bytes a label takes up in what is not authenticated: with its head and key.
pub const fn label_size(label: &[u8]) -> usize {
    match label.len() {
        0 => 0,
        size => 1 + 2 + size,
    }
}
