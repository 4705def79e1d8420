//! What is at hand while the router works: the input, when it came, and what it may cause.

use crate::Swim;
use crate::identity::uri::Uri;
use crate::security::amplification::{Cause, Peers};
use crate::security::authentication::Reply;
use crate::security::seal::keyring::KeyId;
use crate::table::history::Occasion;
use crate::table::reason::Reason;
use crate::time::Now;

/// All that is done because of one input: a datagram, a deadline or a command.
///
/// A part of it that is due to something else is a turn of its own, which borrows this one. So nothing
/// has to be set back when that part has ended.
pub(crate) struct Turn<'a> {
    pub swim: &'a mut Swim,
    /// When the input came.
    pub now: Now,
    /// What is sent in this turn is due to this.
    pub cause: Cause,
    /// What goes along with all that is sent to the sender of the datagram at hand, if that is
    /// authenticated.
    pub reply: Option<&'a mut Reply>,
    /// The sender of the datagram at hand, and the key that it was encrypted with: answers have the same.
    /// None if there is no other key.
    pub heard: Option<(Uri, KeyId)>,
}

impl<'a> Turn<'a> {
    /// One that is due to the local node itself.
    pub const fn new(swim: &'a mut Swim, now: Now) -> Self {
        Self {
            swim,
            now,
            cause: Cause::Own,
            reply: None,
            heard: None,
        }
    }
}

impl Turn<'_> {
    /// A part of this turn that is due to `cause`.
    pub fn because_of(&mut self, cause: Cause) -> Turn<'_> {
        Turn {
            swim: self.swim,
            now: self.now,
            cause,
            // Whatever is sent to the sender of the datagram at hand is to bring it its response: should
            // that arrive later, the sender would not believe what comes before.
            reply: self.reply.as_deref_mut(),
            heard: self.heard.clone(),
        }
    }

    /// A part of this turn that is due to what others have said earlier.
    pub fn because_of_others(&mut self) -> Turn<'_> {
        self.because_of(Cause::Others { validated: None })
    }

    /// A part of this turn that is due to the local node, in which `reply` goes along with what is sent
    /// to its recipient.
    pub fn replying<'b>(&'b mut self, reply: &'b mut Reply) -> Turn<'b> {
        self.part(Cause::Own, Some(reply))
    }

    /// A part of this turn that is due to `cause`, in which `reply`, if there is one, goes along.
    pub fn part<'b>(&'b mut self, cause: Cause, reply: Option<&'b mut Reply>) -> Turn<'b> {
        Turn {
            swim: self.swim,
            now: self.now,
            cause,
            reply,
            heard: self.heard.clone(),
        }
    }

    /// What is changed in the table for this reason.
    pub const fn occasion<'r>(&self, reason: &'r Reason) -> Occasion<'r> {
        Occasion {
            now: self.now,
            reason,
        }
    }

    /// The members, and which of them is the local node.
    pub const fn peers(&self) -> Peers<'_> {
        Peers {
            me: self.swim.me.uri.as_ref(),
            members: &self.swim.members,
        }
    }
}
