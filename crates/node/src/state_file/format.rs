//! The text of a state file: a line that says what it is, with a checksum of the rest, and JSON.
//!
//! ```text
//! membership-state 1 c0ffee0123456789
//! {
//!   "uri": "localhost:3301",
//!   "incarnation": 5,
//!   "members": [
//!     "localhost:3302"
//!   ]
//! }
//! ```

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use swim::detector::candidates::REMEMBERED_MAX;
use swim::identity::uri::Uri;

/// What the first line of every state file begins with.
const NAME: &str = "membership-state";

/// The version of the format. A reader of another version makes nothing of the rest.
const VERSION: &str = "1";

/// What is around the names of members, in bytes: the first line, and JSON.
const OVERHEAD_MAX: usize = 1024;

/// What JSON adds to a name, in bytes: it is indented, in quotes, with a comma and a line break. No character of a
/// URI is written as an escape.
const PER_MEMBER: usize = 8;

/// The largest state file, in bytes. There are no larger ones, as it is not read further.
pub const SIZE_MAX: usize = OVERHEAD_MAX + REMEMBERED_MAX * (Uri::LENGTH_MAX + PER_MEMBER);

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The URI of the instance.
    pub uri: String,
    /// Its incarnation.
    pub incarnation: u64,
    members: Vec<String>,
}

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A state file.
    Record(Record),
    /// A state file that is not whole.
    Damaged,
    /// A state file of another version of this module.
    OtherVersion,
    /// Something else.
    Foreign,
}

impl Record {
    /// What is remembered of `uri`: its incarnation, and these members.
    pub fn new(uri: &Uri, incarnation: u64, members: impl Iterator<Item = Uri>) -> Self {
        Self {
            uri: uri.to_string(),
            incarnation,
            members: members.map(|member| member.to_string()).collect(),
        }
    }

    /// The members.
    pub fn members(&self) -> impl Iterator<Item = Uri> {
        self.members.iter().filter_map(|uri| Uri::from_wire(uri))
    }

    /// The text of the file.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let body = serde_json::to_string_pretty(self)?;
        let checksum = xxh3_64(body.as_bytes());
        Ok(format!("{NAME} {VERSION} {checksum:016x}\n{body}\n"))
    }

    /// Reads the text of a file.
    pub fn parse(text: &[u8]) -> Parsed {
        let Some(rest) = text.strip_prefix(NAME.as_bytes()) else {
            // A file that was cut, perhaps to nothing, may be any, and so may one that is all zeros, as a machine
            // leaves it that loses its power. Nothing is lost with it.
            let is_blank = text.iter().all(|byte| *byte == 0);
            return if is_blank || NAME.as_bytes().starts_with(text) {
                Parsed::Damaged
            } else {
                Parsed::Foreign
            };
        };
        let Ok(rest) = str::from_utf8(rest) else {
            return Parsed::Damaged;
        };
        let Some((head, body)) = rest.split_once('\n') else {
            return Parsed::Damaged;
        };
        let mut words = head.split_whitespace();
        match words.next() {
            Some(VERSION) => {}
            Some(_) => return Parsed::OtherVersion,
            None => return Parsed::Damaged,
        }
        let body = body.trim_end();
        let checksum = format!("{:016x}", xxh3_64(body.as_bytes()));
        if words.next() != Some(&checksum) {
            return Parsed::Damaged;
        }
        match serde_json::from_str(body) {
            Ok(record) => Parsed::Record(record),
            Err(_) => Parsed::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(members: usize) -> Record {
        let uri = |number: usize| {
            let host = format!("{number:a>249}");
            Uri::new(&host, 65_535).unwrap()
        };
        Record::new(&uri(0), (1 << 53) - 2, (1..=members).map(uri))
    }

    #[test]
    fn what_is_written_is_read_and_the_largest_fits() {
        for members in [0, 1, REMEMBERED_MAX] {
            let record = record(members);
            let text = record.to_text().unwrap();
            assert!(text.len() <= SIZE_MAX, "{}", text.len());
            assert_eq!(record.members().count(), members);
            assert_eq!(Record::parse(text.as_bytes()), Parsed::Record(record));
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_damaged() {
        let text = record(2).to_text().unwrap();
        for length in 0..text.len() - 1 {
            assert_eq!(Record::parse(&text.as_bytes()[..length]), Parsed::Damaged);
        }
    }

    #[test]
    fn a_file_with_any_other_byte_is_not_used() {
        let text = record(2).to_text().unwrap();
        for position in 0..text.len() - 1 {
            let mut other = text.clone().into_bytes();
            other[position] ^= 0x01;
            let parsed = Record::parse(&other);
            assert!(!matches!(parsed, Parsed::Record(_)), "{position}");
        }
    }

    #[test]
    fn what_is_no_state_file_is_foreign_and_of_the_future_another_version() {
        for text in ["[]", "\n", "membership state", "\u{fe}"] {
            assert_eq!(Record::parse(text.as_bytes()), Parsed::Foreign, "{text}");
        }
        let text = "membership-state 2 something\nelse";
        assert_eq!(Record::parse(text.as_bytes()), Parsed::OtherVersion);
    }
}
