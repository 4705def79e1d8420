//! What `foca` wants to be told of: who a member is, and what is broadcast.

use core::cell::RefCell;
use core::convert::Infallible;
use core::net::SocketAddrV4;
use std::rc::Rc;

use foca::{BroadcastHandler, Identity, Invalidates};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::host::Id;
use crate::world::PORT;
use swim::identity::uri::Uri;
use swim::table::payload::Payload;

/// Who a member is: where it is, and which of its lives this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    address: SocketAddrV4,
    /// Grows when it comes back after it was declared down.
    pub life: u16,
}

impl Identity for Name {
    type Addr = SocketAddrV4;

    fn renew(&self) -> Option<Self> {
        Some(Self {
            life: self.life.wrapping_add(1),
            ..*self
        })
    }

    fn addr(&self) -> SocketAddrV4 {
        self.address
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.life > other.life
    }
}

impl Name {
    /// That of a URI of the simulation: `node-7:3301` is the machine 7.
    pub fn of(uri: &Uri) -> Option<Self> {
        let index: u32 = uri.host().strip_prefix("node-")?.parse().ok()?;
        Some(Self {
            address: Id(index).address_v4(),
            life: 0,
        })
    }

    /// The URI of the simulation.
    pub fn uri(&self) -> Uri {
        let id = Id::at(*self.address.ip());
        Uri::new(&id.to_string(), PORT).expect("a name")
    }
}

/// Takes the payloads that are broadcast. `foca` keeps it to itself, so it hands them on.
#[derive(Default)]
pub struct Payloads {
    /// The number of the last payload of each member.
    numbers: IndexMap<SocketAddrV4, u64>,
    /// Those that have come since this was last emptied.
    pub arrived: Arrived,
}

/// Payloads that have come, and of whom.
pub type Arrived = Rc<RefCell<Vec<(Uri, Payload)>>>;

/// A payload that is broadcast.
#[derive(Serialize, Deserialize)]
pub struct Broadcast<'a> {
    /// Whose it is.
    pub owner: Name,
    /// How many there were of this member.
    pub number: u64,
    /// MessagePack.
    #[serde(borrow)]
    pub bytes: &'a [u8],
}

/// Whose payload it is, and which.
pub struct Key {
    owner: Name,
    number: u64,
}

impl Invalidates for Key {
    fn invalidates(&self, other: &Self) -> bool {
        self.owner == other.owner && self.number > other.number
    }
}

impl BroadcastHandler<Name> for Payloads {
    type Key = Key;
    type Error = Infallible;

    fn receive_item(&mut self, data: &[u8], _: Option<&Name>) -> Result<Option<Key>, Infallible> {
        let Ok(broadcast) = postcard::from_bytes::<Broadcast>(data) else {
            return Ok(None);
        };
        let Broadcast {
            owner,
            number,
            bytes,
        } = broadcast;
        if let Some(known) = self.numbers.get(&owner.address)
            && *known >= number
        {
            return Ok(None);
        }
        if let Ok(payload) = Payload::new(bytes) {
            self.numbers.insert(owner.address, number);
            self.arrived.borrow_mut().push((owner.uri(), payload));
            return Ok(Some(Key { owner, number }));
        }
        Ok(None)
    }
}
