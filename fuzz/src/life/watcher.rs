//! A reader of the changes of a table, and what must hold of what it reads.

use std::collections::BTreeMap;

use swim::identity::uri::Uri;
use swim::table::claim::Claim;
use swim::table::member::Member;
use swim::table::payload::Payload;
use swim::time::Now;
use swim::{Position, Swim};

/// How many members are read at once: few, so that there are often changes between two parts.
const PART: usize = 2;

/// Has read all changes up to some version.
#[derive(Default)]
pub struct Watcher {
    position: Position,
    news: u64,
    table: BTreeMap<Uri, (Claim, Option<Payload>)>,
}

fn seen(member: &Member) -> (Uri, (Claim, Option<Payload>)) {
    (member.uri.clone(), (member.claim, member.payload.clone()))
}

impl Watcher {
    /// Reads the next changes, and panics if an invariant does not hold.
    pub fn watch(&mut self, swim: &Swim, names: &[Uri], now: Now) {
        assert_eq!(swim.audit(), Ok(()));
        assert!(swim.version() >= self.position.version, "versions rise");
        assert!(swim.news() >= self.news, "the versions of news rise");
        self.news = swim.news();
        self.read_on(swim);
        let table: BTreeMap<_, _> = swim.members().from(0).map(seen).collect();
        assert_eq!(self.table, table, "a reader of all changes has the table");
        assert!(
            swim.myself().is_none() || swim.next_deadline().is_some(),
            "a member that takes part has a deadline"
        );
        for name in names {
            let diagnosis = swim.diagnose(name, now);
            assert_eq!(diagnosis.is_some(), swim.member(name).is_some());
        }
        let _gauges = swim.gauges();
    }

    fn read_on(&mut self, swim: &Swim) {
        while self.position.version != swim.version() {
            let changes = swim.changes_since(self.position, PART);
            if changes.reset {
                self.table.clear();
            }
            for gone in &changes.part.gone {
                self.table.remove(gone);
            }
            self.table
                .extend(changes.part.members.into_iter().map(seen));
            self.position = changes.position;
        }
    }
}
