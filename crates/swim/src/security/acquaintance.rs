//! How well a member is known: that decides how much its name may cost.
//!
//! To look up a name takes a thread for as long as the name server likes. Without a key, any sender can
//! mention as many names as it likes; so names are told apart by the kind of sender that has mentioned
//! them.

/// How well a member is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acquaintance {
    /// Only senders have mentioned it that have never answered a ping of the local node, perhaps itself.
    #[default]
    Stranger,
    /// A member that has answered has told of it.
    Introduced,
    /// It has answered a ping of the local node, or a user has named it.
    Known,
}

impl Acquaintance {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Stranger, Self::Introduced, Self::Known];
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::Swim;
    use crate::config::Config;
    use crate::identity::uri::Uri;
    use crate::table::claim::{Claim, Incarnation};
    use crate::time::{Micros, Now};
    use crate::wire::{Body, MessageBuilder, MessageType, ack_data, decode};

    const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

    const NOW: Now = Now {
        monotonic: Micros(1_000_000_000_000),
        wall: Micros(1_795_372_926_000_000),
    };

    fn uri(host: &str) -> Uri {
        Uri::new(host, 1).expect("a URI")
    }

    fn swim() -> Swim {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(uri("own"), NOW);
        swim
    }

    /// Has `sender` tell `swim` of `subject`.
    fn introduce(swim: &mut Swim, sender: &str, subject: &str) {
        let mut draft = MessageBuilder::leave(&uri(sender), 1472);
        assert!(draft.event(&uri(subject), Claim::alive(Incarnation::FIRST), None, 0));
        let datagram = draft.finish().expect("it fits");
        swim.handle_datagram(&datagram, SOMEWHERE, NOW)
            .expect("well formed");
    }

    /// Has `host` answer a ping of `swim`.
    fn answer(swim: &mut Swim, host: &str) {
        while swim.poll_transmit().is_some() {}
        swim.probe(&uri(host), NOW).expect("initialized");
        let asked = swim.poll_transmit().expect("a ping");
        let asked = decode(&asked.datagram).expect("one of ours");
        let Body::Ping(echo) = asked.body else {
            panic!("{asked:?}");
        };
        let data = ack_data(echo.raw, NOW.wall);
        let mut draft = MessageBuilder::with_data(MessageType::Ack, &uri(host), &data, 1472);
        assert!(draft.event(&uri(host), Claim::alive(Incarnation::FIRST), None, 0));
        let datagram = draft.finish().expect("it fits");
        swim.handle_datagram(&datagram, SOMEWHERE, NOW)
            .expect("well formed");
    }

    #[test]
    fn a_member_is_known_no_better_than_those_that_mention_it() {
        let mut swim = swim();
        introduce(&mut swim, "stranger", "stranger");
        introduce(&mut swim, "stranger", "friend");
        for host in ["stranger", "friend", "nowhere"] {
            assert_eq!(swim.acquaintance(&uri(host)), Acquaintance::Stranger);
        }
        answer(&mut swim, "member");
        introduce(&mut swim, "member", "friend");
        introduce(&mut swim, "friend", "of-a-friend");
        assert_eq!(swim.acquaintance(&uri("member")), Acquaintance::Known);
        assert_eq!(swim.acquaintance(&uri("friend")), Acquaintance::Introduced);
        let of_a_friend = swim.acquaintance(&uri("of-a-friend"));
        assert_eq!(of_a_friend, Acquaintance::Stranger);
        introduce(&mut swim, "stranger", "friend");
        assert_eq!(swim.acquaintance(&uri("friend")), Acquaintance::Introduced);
    }

    #[test]
    fn whom_a_user_names_is_known() {
        let mut swim = swim();
        assert_eq!(swim.acquaintance(&uri("own")), Acquaintance::Known);
        introduce(&mut swim, "stranger", "added");
        swim.add_member(uri("added"), NOW);
        swim.add_member(uri("new"), NOW);
        for host in ["added", "new"] {
            assert_eq!(swim.acquaintance(&uri(host)), Acquaintance::Known);
        }
        let ticket = swim.probe(&uri("probed"), NOW).expect("initialized");
        assert_eq!(swim.acquaintance(&uri("probed")), Acquaintance::Known);
        swim.forget_probe(ticket);
        assert_eq!(swim.acquaintance(&uri("probed")), Acquaintance::Stranger);
    }
}
