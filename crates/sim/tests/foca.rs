//! The crate `foca` does in a simulated group what it is compared for.

use std::time::Duration;

use sim::{Id, Implementation, World};
use swim::table::claim::Status;

#[test]
fn a_group_of_foca_meets_passes_a_payload_on_and_finds_who_is_gone() {
    let mut world = World::new(1).unchecked();
    world.implementation = Implementation::Foca;
    world.populate(8);
    let met = world.try_join(Duration::from_secs(60));
    assert!(met.is_some(), "all know all");

    world.set_payload(Id(3), 7);
    let limit = Duration::from_secs(10);
    let known = world.run_until(limit, |world| {
        let others = world.ids().filter(|id| *id != Id(3));
        others
            .into_iter()
            .all(|id| world.payload(id, Id(3)) == Some(7))
    });
    assert!(known.is_some(), "all have the payload");

    world.power_off(Id(5));
    let dead = |world: &World| world.all_see(Id(5), Status::Dead);
    assert!(world.run_until(Duration::from_secs(60), dead).is_some());
    let others = world.ids().filter(|id| *id != Id(5));
    assert!(
        others
            .into_iter()
            .all(|id| world.all_see(id, Status::Alive)),
        "and no other member"
    );
}
