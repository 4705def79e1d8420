//! Suspicions that several members confirm do not last as long, if `SUSPECT_TIMEOUT_MIN_SECONDS` says so.

use swim::security::seal::Cipher;
use swim::wire::{Extension, Trailer, checksummed};

use crate::*;

/// The shortest time that a suspect has, here.
const LEAST: Duration = Duration::from_millis(500);

/// A world whose members want to know soon.
fn hasty(seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.suspect_timeout_min = LEAST;
    world
}

/// `count` such members that know one another, and have pinged one another.
fn group(count: u32, seed: u64) -> World {
    let mut world = hasty(seed);
    world.populate(count);
    world.acquaint();
    world.run(round(count));
    world
}

fn some_hold(world: &World, subject: Id, status: Status) -> bool {
    let holds = |id| id != subject && world.status(id, subject) == Some(status);
    world.participants().any(holds)
}

/// How long it takes from the first suspicion of `subject` until all hold it dead.
fn time_to_die(world: &mut World, subject: Id, limit: Duration) -> Duration {
    let suspected = |world: &World| some_hold(world, subject, Suspect);
    world.run_until(limit, suspected).expect("suspected");
    let dead = |world: &World| world.all_see(subject, Dead);
    world.run_until(limit, dead).expect("dead")
}

/// How many suspicions all members have confirmed.
fn confirmed(world: &World) -> u64 {
    let mut confirmed = 0;
    for id in world.participants() {
        confirmed += swim(world, id).stats().suspicions_confirmed;
    }
    confirmed
}

#[test]
fn a_member_that_is_gone_is_dead_after_the_shortest_time_in_groups_of_any_size() {
    for go in [World::kill, World::power_off] {
        for count in [2, 3, 4, 5, 12] {
            (0..10).for_each(|seed| {
                let mut world = group(count, seed);
                go(&mut world, B);
                let took = time_to_die(&mut world, B, round(count) + PERIOD);
                assert!(took >= LEAST, "{count} members, seed {seed}: {took:?}");
                assert!(
                    took < LEAST + MOMENT,
                    "{count} members, seed {seed}: {took:?}"
                );
            });
        }
    }
}

#[test]
fn members_that_have_never_heard_of_one_another_themselves_confirm_too() {
    (0..5).for_each(|seed| {
        let mut world = hasty(seed).unchecked();
        world.populate(100);
        world.preload_all();
        world.run(PERIOD);
        world.power_off(B);
        let took = time_to_die(&mut world, B, seconds(30));
        assert!(took < LEAST + 2 * MOMENT, "seed {seed}: {took:?}");
    });
}

#[test]
fn members_of_an_encrypted_group_confirm_too() {
    for cipher in [Cipher::Cbc, Cipher::Aead] {
        (0..10).for_each(|seed| {
            let mut world = hasty(seed);
            world.config.encryption_cipher = cipher;
            world.key = Some(b"a key for tests".to_vec());
            world.populate(6);
            world.acquaint();
            world.power_off(B);
            let took = time_to_die(&mut world, B, seconds(30));
            assert!(took < LEAST + MOMENT, "{cipher:?}, seed {seed}: {took:?}");
        });
    }
}

#[test]
fn a_suspicion_that_is_not_so_is_refuted_and_not_confirmed() {
    story(|seed| {
        let mut world = group(6, seed);
        let slander = hearsay(&uri(&world, A), &uri(&world, B), Suspect, 7);
        for id in [A, C, D, E] {
            world.inject(A, id, &slander);
        }
        let dead = |world: &World| some_hold(world, B, Dead);
        assert_eq!(world.run_until(2 * SUSPICION, dead), None);
        assert!(world.all_see(B, Alive));
        assert_eq!(confirmed(&world), 0);
    });
}

#[test]
fn a_pause_of_less_than_a_period_and_the_shortest_time_is_survived_and_a_longer_one_is_not() {
    for period in [PERIOD, PERIOD / 2] {
        story(|seed| {
            let mut world = hasty(seed);
            world.config.protocol_period = period;
            world.populate(8);
            world.acquaint();
            world.run(round(8));
            let dead = |world: &World| some_hold(world, B, Dead);
            // The refutation takes a moment to reach all.
            world.pause(B, period + LEAST - MOMENT / 3);
            assert_eq!(world.run_until(round(8), dead), None, "seed {seed}");
            world.pause(B, round(8) + period + LEAST + MOMENT);
            let took = world.run_until(seconds(20), dead);
            assert!(took.is_some(), "seed {seed}");
            let back = |world: &World| world.all_see(B, Alive);
            assert!(world.run_until(seconds(20), back).is_some(), "seed {seed}");
        });
    }
}

#[test]
fn no_member_is_dead_while_a_third_of_all_datagrams_is_lost_and_one_that_dies_is_dead_soon() {
    story(|seed| {
        let mut world = hasty(seed);
        world.config.protocol_period = PERIOD / 2;
        world.populate(8);
        world.acquaint();
        world.run(round(8));
        world.network.weather.loss = 0.33;
        let dead = |world: &World| world.ids().any(|id| some_hold(world, id, Dead));
        assert_eq!(world.run_until(seconds(120), dead), None, "seed {seed}");
        world.power_off(B);
        let took = time_to_die(&mut world, B, seconds(30));
        assert!(took < SUSPICION - MOMENT, "seed {seed}: {took:?}");
    });
}

#[test]
fn a_member_that_receives_nothing_confirms_nothing() {
    story(|seed| {
        let mut world = group(6, seed);
        let others = [A, B, D, E, Id(5)];
        others.iter().for_each(|id| world.network.cut(*id, C));
        let accused = |world: &World| {
            let is_accused = |id: &Id| some_hold_but(world, *id, C, Dead);
            others.iter().any(is_accused)
        };
        assert_eq!(world.run_until(seconds(60), accused), None, "seed {seed}");
        assert_eq!(
            swim(&world, C).stats().suspicions_confirmed,
            0,
            "seed {seed}"
        );
    });
}

/// Whether a member other than `but` holds this of `subject`.
fn some_hold_but(world: &World, subject: Id, but: Id, status: Status) -> bool {
    let holds = |id| id != but && world.status(id, subject) == Some(status);
    world.participants().any(holds)
}

#[test]
fn instances_of_membership_2_x_have_their_full_time_and_no_member_suffers_in_a_mixed_group() {
    story(|seed| {
        let mut world = hasty(seed);
        world.legacy_share = 0.5;
        world.populate(6);
        (1..6).for_each(|index| world.introduce(A, Id(index)));
        let met = world.run_until(seconds(60), |world| world.disagreement().is_none());
        met.expect("they meet");
        world.run(2 * round(6));
        let is_legacy =
            |world: &World, id: &Id| world.host(*id).implementation == Implementation::Legacy;
        let old = world.ids().find(|id| is_legacy(&world, id)).expect("half");
        world.power_off(old);
        let suspected = |world: &World| some_hold(world, old, Suspect);
        world.run_until(2 * round(6), suspected).expect("suspected");
        let dead = |world: &World| some_hold(world, old, Dead);
        let early = world.run_until(SUSPICION - MOMENT, dead);
        assert_eq!(early, None, "seed {seed}");
        let dead = |world: &World| world.all_see(old, Dead);
        let limit = round(6) + SUSPICION + 5 * PERIOD;
        assert!(world.run_until(limit, dead).is_some(), "seed {seed}");
    });
}

/// The first of several members, which all have answered a ping of it, and the time.
struct Judge {
    swim: Swim,
    now: u64,
}

/// "I get no answer of `suspect`."
fn confirmation(sender: &Uri, suspect: &Uri, incarnation: u64) -> Vec<u8> {
    let trailer = Trailer {
        note: Some(Extension::Confirm {
            dst: suspect.clone(),
            incarnation: Incarnation::from_wire(incarnation).expect("admissible"),
        }),
        reads_short: true,
        ..Trailer::default()
    };
    let draft = MessageBuilder::leave(sender, 1472).trailed_by(&trailer);
    checksummed(draft.finish().expect("it fits"))
}

fn name(port: u16) -> Uri {
    Uri::new("a", port).expect("a URI")
}

impl Judge {
    /// It knows `a:1` to `a:9`.
    fn new(least: Duration) -> Self {
        let config = Config {
            suspect_timeout_min: least,
            protocol_period: seconds(3600),
            ..Config::default()
        };
        let mut swim = Swim::new(config, 1);
        swim.init(Uri::new("localhost", 13301).expect("a URI"), at(0));
        swim.handle_timeout(at(0));
        drain(&mut swim);
        for port in 1..=9 {
            acquaint(&mut swim, &name(port), at(0));
            let native = confirmation(&name(port), &name(99), 1);
            swim.handle_datagram(&native, SOMEWHERE, at(0))
                .expect("well formed");
            drain(&mut swim);
        }
        Self { swim, now: 0 }
    }

    fn hears(&mut self, datagram: &[u8], source: SocketAddr) {
        let heard = self.swim.handle_datagram(datagram, source, at(self.now));
        heard.expect("well formed");
        drain(&mut self.swim);
    }

    /// How long `a:1` has from now on, if nothing more is heard.
    fn time_left(mut self) -> Duration {
        let began = self.now;
        while self.swim.member(&name(1)).expect("known").claim.status != Dead {
            let due = self.swim.next_deadline().expect("it waits");
            self.now = due.0;
            self.swim.handle_timeout(now_at(due));
            drain(&mut self.swim);
        }
        Duration::from_micros(self.now - began)
    }
}

#[test]
fn each_confirmation_shortens_the_time_on_the_curve_of_lifeguard() {
    for (count, permille) in [(0, 0), (1, 500), (2, 792), (3, 1000), (5, 1000)] {
        let mut judge = Judge::new(LEAST);
        judge.hears(&hearsay(&name(9), &name(1), Suspect, 1), SOMEWHERE);
        for port in 2..2 + count {
            judge.hears(&confirmation(&name(port), &name(1), 1), SOMEWHERE);
        }
        let expected = SUSPICION - (SUSPICION - LEAST) * permille / 1000;
        assert_eq!(judge.time_left(), expected, "{count} confirmations");
    }
}

#[test]
fn a_confirmation_counts_once_and_from_members_that_are_alive_where_they_answer() {
    let suspicion = hearsay(&name(9), &name(1), Suspect, 1);
    let by = |port: u16, incarnation| confirmation(&name(port), &name(1), incarnation);
    let forged: [(&str, &[Vec<u8>], SocketAddr); 4] = [
        (
            "from another address",
            &[by(2, 1), by(3, 1), by(4, 1)],
            ELSEWHERE,
        ),
        (
            "of strangers",
            &[by(20, 1), by(21, 1), by(22, 1)],
            ELSEWHERE,
        ),
        ("of the suspect itself", &[by(1, 1), by(1, 1)], SOMEWHERE),
        (
            "of a member that is suspect",
            &[hearsay(&name(9), &name(2), Suspect, 1), by(2, 1)],
            SOMEWHERE,
        ),
    ];
    for (what, datagrams, source) in forged {
        let mut judge = Judge::new(LEAST);
        judge.hears(&suspicion, SOMEWHERE);
        for datagram in datagrams {
            judge.hears(datagram, source);
        }
        assert_eq!(judge.time_left(), SUSPICION, "{what}");
    }
    let mut judge = Judge::new(LEAST);
    judge.hears(&suspicion, SOMEWHERE);
    (0..5).for_each(|_| judge.hears(&by(2, 1), SOMEWHERE));
    assert_eq!(
        judge.time_left(),
        SUSPICION - (SUSPICION - LEAST) / 2,
        "repeated"
    );
}

#[test]
fn a_member_that_has_refuted_has_its_full_time_when_it_is_suspected_again() {
    let mut judge = Judge::new(LEAST);
    judge.hears(&hearsay(&name(9), &name(1), Suspect, 1), SOMEWHERE);
    for port in 2..5 {
        judge.hears(&confirmation(&name(port), &name(1), 1), SOMEWHERE);
    }
    judge.now = 100_000;
    judge.hears(&hearsay(&name(1), &name(1), Alive, 2), SOMEWHERE);
    judge.hears(&hearsay(&name(9), &name(1), Suspect, 2), SOMEWHERE);
    // What is said of its former life comes late.
    judge.hears(&confirmation(&name(5), &name(1), 1), SOMEWHERE);
    assert_eq!(judge.time_left(), SUSPICION);
}

#[test]
fn without_the_option_confirmations_change_nothing() {
    let mut judge = Judge::new(Duration::ZERO);
    judge.hears(&hearsay(&name(9), &name(1), Suspect, 1), SOMEWHERE);
    for port in 2..5 {
        judge.hears(&confirmation(&name(port), &name(1), 1), SOMEWHERE);
    }
    assert_eq!(judge.time_left(), SUSPICION);
}

#[test]
fn a_shortest_time_beyond_the_longest_one_is_the_longest_one() {
    let mut judge = Judge::new(10 * SUSPICION);
    judge.hears(&hearsay(&name(9), &name(1), Suspect, 1), SOMEWHERE);
    for port in 2..5 {
        judge.hears(&confirmation(&name(port), &name(1), 1), SOMEWHERE);
    }
    assert_eq!(judge.time_left(), SUSPICION);
}
