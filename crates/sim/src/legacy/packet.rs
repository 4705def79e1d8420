//! Fills datagrams: with rumors first, then with as many random members as fit.

use indexmap::IndexSet;
use rmp::encode as msgpack;

use super::{Legacy, Rumor};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;
use swim::wire::MessageType;

/// Builds a datagram. Records have four values, events have five: with the ttl.
pub(super) struct PacketBuilder {
    head: Vec<u8>,
    items: Vec<u8>,
    count: u32,
    tail: &'static [u8],
    limit: usize,
}

impl PacketBuilder {
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

    /// Begins a message whose records are its data.
    pub(super) fn of_records(kind: MessageType, sender: &Uri, limit: usize) -> Self {
        Self::new(kind, sender, &[], &[0x90], limit)
    }

    /// Adds a record or an event if it fits, and in any case if it is `required`. Returns whether it did.
    pub(super) fn add(
        &mut self,
        uri: &Uri,
        claim: Claim,
        payload: Option<&Payload>,
        ttl: Option<f64>,
        required: bool,
    ) -> bool {
        let before = self.items.len();
        let out = &mut self.items;
        infallible(msgpack::write_array_len(out, 4 + u32::from(ttl.is_some())));
        infallible(msgpack::write_str(out, uri));
        infallible(msgpack::write_uint(out, claim.status.number().into()));
        infallible(msgpack::write_uint(out, claim.incarnation.get()));
        match payload {
            Some(payload) => out.extend_from_slice(payload.bytes()),
            None => infallible(msgpack::write_nil(out)),
        }
        match ttl {
            None => {}
            Some(ttl) if ttl.is_finite() => {
                infallible(msgpack::write_sint(out, ttl as i64));
            }
            Some(ttl) => infallible(msgpack::write_f64(out, ttl)),
        }
        let list_head = if self.count < 15 { 1 } else { 3 };
        let size = self.head.len() + list_head + self.items.len() + self.tail.len();
        let fits = required || size <= self.limit;
        if fits {
            self.count += 1;
        } else {
            self.items.truncate(before);
        }
        fits
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        infallible(msgpack::write_array_len(&mut self.head, self.count));
        self.head.extend_from_slice(&self.items);
        self.head.extend_from_slice(self.tail);
        self.head
    }
}

/// How many members are drawn at most to fill a datagram: more than fit into 1472 bytes.
const DRAWN_MAX: usize = 96;

impl Legacy {
    /// Sends a PING or an ACK with gossip.
    pub(super) fn send_with_gossip(&mut self, kind: MessageType, data: &[u8], to: &Uri) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let mut packet = PacketBuilder::new(kind, &myself, data, &[], self.options.max_packet_size);
        let mut included: IndexSet<Uri> = IndexSet::new();
        // The claims about the recipient and about itself go in whether there is room or not.
        for uri in [to, &myself] {
            if included.contains(uri) {
                continue;
            }
            if let Some(rumor) = self.rumors.get(uri) {
                packet.put(uri, rumor, true);
            } else if let Some(record) = self.members.get(uri) {
                // Of the recipient without its payload, which it knows.
                let payload = match &record.payload {
                    Some(payload) if *uri == myself => Some(payload.clone()),
                    _ => None,
                };
                let once = Rumor {
                    claim: record.claim,
                    payload,
                    ttl: 1.0,
                };
                packet.put(uri, &once, true);
            } else {
                continue;
            }
            included.insert(uri.clone());
        }
        for (uri, rumor) in &self.rumors {
            if !included.contains(uri) {
                if !packet.put(uri, rumor, false) {
                    break;
                }
                included.insert(uri.clone());
            }
        }
        self.fill(&mut packet, &mut included);
        for uri in &included {
            self.count(uri);
        }
        self.send(to, packet.finish());
    }

    /// Fills the rest with random members.
    fn fill(&mut self, packet: &mut PacketBuilder, included: &mut IndexSet<Uri>) {
        let drawn = self.draw(DRAWN_MAX);
        for index in drawn {
            let (uri, record) = self.members.get_index(index).expect("drawn from them");
            if included.contains(uri) {
                continue;
            }
            let ttl = Some(0.0);
            if !packet.add(uri, record.claim, record.payload.as_ref(), ttl, false) {
                break;
            }
            // A rumor about it that did not fit counts as sent.
            if let Some(rumor) = self.rumors.get_mut(uri) {
                rumor.ttl = 1.0;
            }
            included.insert(uri.clone());
        }
    }

    /// Draws some members, all different, in random order. Returns their indices.
    pub(super) fn draw(&mut self, count: usize) -> Vec<usize> {
        let all = self.members.len();
        rand::seq::index::sample(&mut self.rng, all, count.min(all)).into_vec()
    }

    /// Counts that a rumor was sent, and drops it when that was often enough.
    fn count(&mut self, uri: &Uri) {
        if let Some(rumor) = self.rumors.get_mut(uri) {
            rumor.ttl -= 1.0;
            if rumor.ttl <= 0.0 {
                self.rumors.shift_remove(uri);
            }
        }
    }

    pub(super) fn send_leave(&mut self, myself: &Uri, rumor: &Rumor, to: &Uri) {
        let limit = self.options.max_packet_size;
        let mut packet = PacketBuilder::new(MessageType::Leave, myself, &[0xc0], &[], limit);
        packet.add(
            myself,
            rumor.claim,
            rumor.payload.as_ref(),
            Some(rumor.ttl),
            true,
        );
        self.send(to, packet.finish());
    }

    pub(super) fn send(&mut self, to: &Uri, datagram: Vec<u8>) {
        let anew = match self.claim(to) {
            Some(claim) => claim.status != Status::Alive,
            None => true,
        };
        let to = to.clone();
        self.outbox.push_back(Transmit {
            to,
            at: None,
            datagram,
            anew,
        });
    }
}

impl PacketBuilder {
    /// Adds a rumor, with a ttl that counts this time.
    fn put(&mut self, uri: &Uri, rumor: &Rumor, required: bool) -> bool {
        let Rumor {
            claim,
            payload,
            ttl,
        } = rumor;
        self.add(uri, *claim, payload.as_ref(), Some(ttl - 1.0), required)
    }
}

fn infallible<T, E: core::fmt::Debug>(written: Result<T, E>) {
    written.expect("memory can be written to");
}
