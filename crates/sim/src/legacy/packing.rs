//! What goes into a datagram: whatever fits, needed or not.

use indexmap::IndexSet;
use rmp::encode as msgpack;

use super::{Legacy, Record, Rumour};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;
use swim::wire::MessageType;

/// A datagram in the making. Statements of four values are records, of five events.
pub(super) struct Parcel {
    head: Vec<u8>,
    items: Vec<u8>,
    count: u32,
    tail: &'static [u8],
    limit: usize,
}

impl Parcel {
    fn new(
        kind: MessageType,
        sender: &Uri,
        data: &[u8],
        tail: &'static [u8],
        limit: usize,
    ) -> Self {
        let mut head = Vec::with_capacity(128);
        infallible(msgpack::write_array_len(&mut head, 4));
        infallible(msgpack::write_str(&mut head, sender));
        infallible(msgpack::write_str(&mut head, kind.name()));
        head.extend_from_slice(data);
        Self {
            head,
            items: Vec::with_capacity(limit),
            count: 0,
            tail,
            limit,
        }
    }

    /// A message whose records are its data.
    pub(super) fn of_records(kind: MessageType, sender: &Uri, limit: usize) -> Self {
        Self::new(kind, sender, &[], &[0x90], limit)
    }

    /// Adds a statement if there is room, or, when it is `due`, whether or not.
    pub(super) fn add(
        &mut self,
        uri: &Uri,
        claim: Claim,
        payload: Option<&Payload>,
        ttl: Option<f64>,
        due: bool,
    ) -> bool {
        let before = self.items.len();
        let out = &mut self.items;
        infallible(msgpack::write_array_len(out, 4 + u32::from(ttl.is_some())));
        infallible(msgpack::write_str(out, uri));
        infallible(msgpack::write_uint(out, claim.status.number().into()).map(drop));
        infallible(msgpack::write_uint(out, claim.incarnation.get()).map(drop));
        out.extend_from_slice(payload.map_or(&[0xc0], Payload::bytes));
        match ttl {
            None => {}
            Some(ttl) if ttl.is_finite() => {
                infallible(msgpack::write_sint(out, ttl as i64).map(drop));
            }
            Some(ttl) => infallible(msgpack::write_f64(out, ttl)),
        }
        let list_head = if self.count < 15 { 1 } else { 3 };
        let size = self.head.len() + list_head + self.items.len() + self.tail.len();
        let fits = due || size <= self.limit;
        if fits {
            self.count += 1;
        } else {
            self.items.truncate(before);
        }
        fits
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        infallible(msgpack::write_array_len(&mut self.head, self.count).map(drop));
        self.head.extend_from_slice(&self.items);
        self.head.extend_from_slice(self.tail);
        self.head
    }
}

/// How many members are drawn at most to fill a datagram: more than fit into 1472 bytes.
const DRAWN_MAX: usize = 96;

impl Legacy {
    /// Sends a PING or an ACK with everything that rides on it.
    pub(super) fn tell(&mut self, kind: MessageType, data: &[u8], to: &Uri) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let mut parcel = Parcel::new(kind, &myself, data, &[], self.options.max_packet_size);
        let mut told: IndexSet<Uri> = IndexSet::new();
        // What it thinks of the recipient, and of itself, goes in whether there is room or not.
        for uri in [to, &myself] {
            if told.contains(uri) {
                continue;
            }
            let about_others = *uri != myself;
            let once = |record: &Record| Rumour {
                claim: record.claim,
                payload: record.payload.clone().filter(|_| !about_others),
                ttl: 1.0,
            };
            let queued = self.rumours.get(uri).cloned();
            if let Some(rumour) = queued.or_else(|| self.members.get(uri).map(once)) {
                parcel.put(uri, &rumour, true);
                told.insert(uri.clone());
            }
        }
        for (uri, rumour) in &self.rumours {
            if !told.contains(uri) {
                if !parcel.put(uri, rumour, false) {
                    break;
                }
                told.insert(uri.clone());
            }
        }
        self.fill(&mut parcel, &mut told);
        for uri in &told {
            self.count(uri);
        }
        self.post(to, parcel.finish());
    }

    /// Fills the rest with random members.
    fn fill(&mut self, parcel: &mut Parcel, told: &mut IndexSet<Uri>) {
        let drawn = self.draw(DRAWN_MAX);
        for index in drawn {
            let (uri, record) = self.members.get_index(index).expect("drawn from them");
            if told.contains(uri) {
                continue;
            }
            let ttl = Some(0.0);
            if !parcel.add(uri, record.claim, record.payload.as_ref(), ttl, false) {
                break;
            }
            // A rumor about it that did not fit is taken for told.
            if let Some(rumour) = self.rumours.get_mut(uri) {
                rumour.ttl = 1.0;
            }
            told.insert(uri.clone());
        }
    }

    /// The indices of some members, all different, in random order.
    pub(super) fn draw(&mut self, count: usize) -> Vec<usize> {
        let all = self.members.len();
        rand::seq::index::sample(&mut self.rng, all, count.min(all)).into_vec()
    }

    /// A rumor was told once more, and is dropped when that was enough.
    fn count(&mut self, uri: &Uri) {
        if let Some(rumour) = self.rumours.get_mut(uri) {
            rumour.ttl -= 1.0;
            if rumour.ttl <= 0.0 {
                self.rumours.shift_remove(uri);
            }
        }
    }

    pub(super) fn send_leave(&mut self, myself: &Uri, rumour: &Rumour, to: &Uri) {
        let limit = self.options.max_packet_size;
        let mut parcel = Parcel::new(MessageType::Leave, myself, &[0xc0], &[], limit);
        parcel.add(
            myself,
            rumour.claim,
            rumour.payload.as_ref(),
            Some(rumour.ttl),
            true,
        );
        self.post(to, parcel.finish());
    }

    pub(super) fn post(&mut self, to: &Uri, datagram: Vec<u8>) {
        let alive = |record: &Record| record.claim.status == Status::Alive;
        let anew = !self.members.get(to).is_some_and(alive);
        let to = to.clone();
        self.outbox.push_back(Transmit { to, datagram, anew });
    }
}

impl Parcel {
    /// Adds a rumor, which is told once more by that.
    fn put(&mut self, uri: &Uri, rumour: &Rumour, due: bool) -> bool {
        let Rumour {
            claim,
            payload,
            ttl,
        } = rumour;
        self.add(uri, *claim, payload.as_ref(), Some(ttl - 1.0), due)
    }
}

fn infallible<T, E: core::fmt::Debug>(written: Result<T, E>) {
    written.expect("memory can be written to");
}
