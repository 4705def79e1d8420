//! Which payloads are harmless: to Tarantool's decoder, to a program that reads them, and to memory.
//!
//! Lua decodes a payload with Tarantool's own `msgpack`, which trusts what it is given: an extension
//! with a malformed body makes some versions read or write beyond it. So nothing becomes a
//! [`Payload`](super::Payload) that is not known to be harmless to every version. A peer's payload
//! is checked when it is heard, and one's own by the same rules when it is set.

use core::fmt;

use thiserror::Error;

use super::extension::{self, Body};
use crate::wire::msgpack::{Head, NESTING_MAX, NotMsgpack, Number, Reader};

/// How many values a payload may have at all depths, keys and tables not counted. In LuaJIT a value
/// of one byte takes up to 48: 64 KB of a full datagram would be megabytes.
pub const VALUES_MAX: usize = 256;

/// How many tables (arrays and maps) a payload may have at all depths, itself included. An empty one
/// takes one byte in a datagram and some hundred in LuaJIT.
pub const TABLES_MAX: usize = 64;

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Cut short, of a reserved type, or followed by something else.
    NotMsgpack,
    /// Neither an array nor a map.
    NotATable,
    /// Nested deeper than [`NESTING_MAX`].
    Nesting,
    /// More than [`VALUES_MAX`] values.
    Values,
    /// More than [`TABLES_MAX`] tables.
    Tables,
    /// A key of this type: json encodes no others than texts and whole numbers, and Lua has no place
    /// for some.
    Key(&'static str),
    /// A value of this type, which is not one of those that every Tarantool reads.
    Type(&'static str),
    /// A value of this type, with a body that some Tarantool does not read, or not safely.
    Body(&'static str),
}

impl Unfit {
    /// What they are called among the counters.
    pub const NAMES: [&'static str; 7] = [
        "malformed",
        "nesting",
        "values",
        "tables",
        "key",
        "type",
        "body",
    ];

    /// Its place in [`Unfit::NAMES`].
    pub const fn index(self) -> usize {
        match self {
            Self::NotMsgpack | Self::NotATable => 0,
            Self::Nesting => 1,
            Self::Values => 2,
            Self::Tables => 3,
            Self::Key(_) => 4,
            Self::Type(_) => 5,
            Self::Body(_) => 6,
        }
    }
}

impl From<NotMsgpack> for Unfit {
    fn from(NotMsgpack: NotMsgpack) -> Self {
        Self::NotMsgpack
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMsgpack => write!(f, "is not MessagePack"),
            Self::NotATable => write!(f, "is not a table"),
            Self::Nesting => write!(f, "nests deeper than {NESTING_MAX} levels"),
            Self::Values => write!(f, "makes it more than {VALUES_MAX} values"),
            Self::Tables => write!(f, "makes it more than {TABLES_MAX} tables"),
            Self::Key(kind) => write!(
                f,
                "has a key of type {kind}, and keys are strings or whole numbers"
            ),
            Self::Type(kind) => {
                write!(f, "is of type {kind}, which cannot be part of a payload")
            }
            Self::Body(kind) => write!(f, "is of type {kind}, with a value out of range"),
        }
    }
}

/// What is wrong with a payload, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Flaw {
    /// What is wrong.
    pub why: Unfit,
    /// Where the value begins that is wrong, or that has a wrong key, in bytes.
    at: usize,
}

/// Whether these bytes are a payload, and a harmless one.
pub fn check(payload: &[u8]) -> Result<(), Flaw> {
    let mut check = Check {
        reader: Reader::new(payload),
        size: payload.len(),
        at: 0,
        values: 0,
        tables: 0,
    };
    match check.payload() {
        Ok(()) => Ok(()),
        Err(why) => Err(Flaw { why, at: check.at }),
    }
}

struct Check<'a> {
    reader: Reader<'a>,
    size: usize,
    /// Where the value begins that is looked at.
    at: usize,
    values: usize,
    tables: usize,
}

impl Check<'_> {
    fn payload(&mut self) -> Result<(), Unfit> {
        let head = self.reader.head()?;
        if !matches!(head, Head::Map(_) | Head::Array(_)) {
            return Err(Unfit::NotATable);
        }
        self.value(head, NESTING_MAX)?;
        // What follows is wrong with the whole, and not with the value that was looked at last.
        self.at = 0;
        if self.reader.rest().is_empty() {
            Ok(())
        } else {
            Err(Unfit::NotMsgpack)
        }
    }

    /// The rest of a value after its head. `depth` more levels may follow.
    fn value(&mut self, head: Head<'_>, depth: usize) -> Result<(), Unfit> {
        match head {
            Head::Map(pairs) => {
                let (depth, table) = (self.enter(depth)?, self.at);
                for _ in 0..pairs {
                    // A wrong key has no path of its own: the table that it is in is named.
                    self.at = table;
                    self.key()?;
                    self.next_value(depth)?;
                }
                Ok(())
            }
            Head::Array(values) => {
                let depth = self.enter(depth)?;
                for _ in 0..values {
                    self.next_value(depth)?;
                }
                Ok(())
            }
            Head::Extension(kind, body) => {
                self.count_value()?;
                match extension::check(kind, body) {
                    Body::Harmless => Ok(()),
                    Body::Harmful => Err(Unfit::Body(extension::name(kind))),
                    Body::Unknown => Err(Unfit::Type(extension::name(kind))),
                }
            }
            Head::Nil | Head::Bool(_) | Head::Number(_) | Head::Text(_) => self.count_value(),
        }
    }

    fn next_value(&mut self, depth: usize) -> Result<(), Unfit> {
        self.at = self.size - self.reader.rest().len();
        let head = self.reader.head()?;
        self.value(head, depth)
    }

    // A `bin` is not a text to every version, and as a key never found.
    fn key(&mut self) -> Result<(), Unfit> {
        let is_binary = matches!(self.reader.rest(), [0xc4..=0xc6, ..]);
        match self.reader.head()? {
            Head::Text(_) if !is_binary => Ok(()),
            Head::Number(number) if is_whole(number) => Ok(()),
            other => Err(Unfit::Key(type_name(other))),
        }
    }

    fn enter(&mut self, depth: usize) -> Result<usize, Unfit> {
        self.tables += 1;
        if self.tables > TABLES_MAX {
            return Err(Unfit::Tables);
        }
        depth.checked_sub(1).ok_or(Unfit::Nesting)
    }

    fn count_value(&mut self) -> Result<(), Unfit> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Unfit::Values);
        }
        Ok(())
    }
}

/// Whether json encodes such a key: as an integer of 64 bits.
fn is_whole(number: Number) -> bool {
    let bounds = i128::from(i64::MIN)..=i128::from(u64::MAX);
    match number.integer() {
        Some(integer) => bounds.contains(&integer),
        None => false,
    }
}

/// What a Lua programmer calls it.
fn type_name(head: Head<'_>) -> &'static str {
    match head {
        Head::Nil => "nil",
        Head::Bool(_) => "boolean",
        Head::Number(_) => "number",
        Head::Text(_) => "binary",
        Head::Array(_) | Head::Map(_) => "table",
        Head::Extension(kind, _) => extension::name(kind),
    }
}

/// How long a part of a path may get, in characters.
const PART_MAX: usize = 40;

impl Flaw {
    /// Says what is wrong where in `payload`, for the program that has made it: `x.y[3] is of type
    /// error, which cannot be part of a payload`.
    pub fn describe(self, payload: &[u8]) -> String {
        let mut path = String::new();
        let mut reader = Reader::new(payload);
        // Cut short: the path ends where the bytes do.
        let _ = find(&mut reader, payload.len(), self.at, &mut path);
        let path = path.trim_start_matches('.');
        let path = if path.is_empty() { "the payload" } else { path };
        format!("{path} {}", self.why)
    }
}

/// Appends to `path` the keys that lead from the next value to the one that begins at `at`. It is
/// there, and everything before it was found to be harmless.
fn find(
    reader: &mut Reader<'_>,
    size: usize,
    at: usize,
    path: &mut String,
) -> Result<(), NotMsgpack> {
    if size - reader.rest().len() == at {
        return Ok(());
    }
    let head = reader.head()?;
    let (Head::Map(count) | Head::Array(count)) = head else {
        return Err(NotMsgpack);
    };
    for index in 1..=count {
        let part = match head {
            Head::Map(_) => part_of_path(reader.head()?),
            _array => format!("[{index}]"),
        };
        let mut ahead = reader.clone();
        let end = match ahead.value() {
            Ok(_) => size - ahead.rest().len(),
            // The last one is not skipped: it may be what is cut short.
            Err(NotMsgpack) => usize::MAX,
        };
        if at < end {
            path.push_str(&part);
            return find(reader, size, at, path);
        }
        reader.value()?;
    }
    Err(NotMsgpack)
}

fn part_of_path(key: Head<'_>) -> String {
    match key {
        Head::Text(text) => {
            let text: String = String::from_utf8_lossy(text)
                .chars()
                .take(PART_MAX)
                .collect();
            let is_word = |char: char| char == '_' || char.is_ascii_alphanumeric();
            if !text.is_empty() && text.chars().all(is_word) {
                format!(".{text}")
            } else {
                format!("[{text:?}]")
            }
        }
        Head::Number(Number::Integer(integer)) => format!("[{integer}]"),
        Head::Number(Number::Float(float)) => format!("[{float}]"),
        _other => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(payload: &[u8]) -> Option<Unfit> {
        check(payload).err().map(|flaw| flaw.why)
    }

    fn array_of(count: u16, value: &[u8]) -> Vec<u8> {
        [
            &b"\xdc"[..],
            &count.to_be_bytes(),
            &value.repeat(count.into()),
        ]
        .concat()
    }

    #[test]
    fn what_tarantool_encodes_of_plain_values_is_harmless() {
        for payload in [
            &b"\x90"[..],
            b"\x80",
            b"\x93\xc0\xc2\xc3",
            b"\x94\x07\xff\xcb\x7f\xf8\0\0\0\0\0\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x82\xa1a\xa1b\xa0\xc4\x01\x00",
            b"\x83\x01\x01\xff\x01\xcb\x43\xb0\0\0\0\0\0\0\x01",
            b"\x81\xa1a\x82\xa1b\x90\xa1c\x91\x91\x01",
        ] {
            assert_eq!(check(payload), Ok(()), "{payload:x?}");
        }
    }

    #[test]
    fn no_payload_is_anything_but_one_table() {
        assert_eq!(why(b""), Some(Unfit::NotMsgpack));
        assert_eq!(why(b"\x91"), Some(Unfit::NotMsgpack));
        assert_eq!(why(b"\x90\x90"), Some(Unfit::NotMsgpack));
        assert_eq!(why(b"\xdd\xff\xff\xff\xff\xc0"), Some(Unfit::NotMsgpack));
        assert_eq!(why(b"\xc0"), Some(Unfit::NotATable));
        assert_eq!(why(b"\xa1a"), Some(Unfit::NotATable));
    }

    #[test]
    fn values_tables_and_levels_are_counted_at_all_depths() {
        let values = u16::try_from(VALUES_MAX).unwrap();
        assert_eq!(check(&array_of(values, b"\xc0")), Ok(()));
        assert_eq!(why(&array_of(values + 1, b"\xc0")), Some(Unfit::Values));
        // Two values in each, in half as many and one more.
        let pairs = array_of(values / 2, b"\x82\x01\x01\x02\x02");
        assert_eq!(why(&pairs), Some(Unfit::Tables));
        let tens = array_of(values / 10 + 1, &array_of(10, b"\x01"));
        assert_eq!(why(&tens), Some(Unfit::Values));
        let tables = u16::try_from(TABLES_MAX).unwrap();
        for empty in [b"\x80", b"\x90"] {
            assert_eq!(check(&array_of(tables - 1, empty)), Ok(()));
            assert_eq!(why(&array_of(tables, empty)), Some(Unfit::Tables));
        }
        let deep = |levels| [vec![0x91; levels], vec![0xc0]].concat();
        assert_eq!(check(&deep(NESTING_MAX)), Ok(()));
        assert_eq!(why(&deep(NESTING_MAX + 1)), Some(Unfit::Nesting));
        assert_eq!(why(&deep(60_000)), Some(Unfit::Nesting));
    }

    #[test]
    fn keys_are_what_lua_finds_again_and_json_encodes() {
        for (key, kind) in [
            (&b"\xc0"[..], "nil"),
            (b"\xc3", "boolean"),
            (b"\xcb\x7f\xf8\0\0\0\0\0\0", "number"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "number"),
            (b"\xcb\x3f\xe0\0\0\0\0\0\0", "number"),
            (b"\xcb\x44\x30\0\0\0\0\0\0", "number"),
            (b"\xc4\x01a", "binary"),
            (b"\x80", "table"),
            (b"\xd8\x020123456789abcdef", "uuid"),
            (b"\xd4\x2a\x00", "an unknown extension"),
        ] {
            let payload = [b"\x81", key, b"\x01"].concat();
            assert_eq!(why(&payload), Some(Unfit::Key(kind)), "{payload:x?}");
        }
    }

    #[test]
    fn a_flaw_is_described_by_the_keys_that_lead_to_it() {
        let error = b"\xd4\x03\x00";
        let rows: [(&[u8], &str); 8] = [
            (
                b"\x82\xa1a\x92\x01\x02\xa1x",
                "x is of type error, which cannot be part of a payload",
            ),
            (
                b"\x81\xa1x\x82\xa1y\x93\x01\x02",
                "x.y[3] is of type error, which cannot be part of a payload",
            ),
            (
                b"\x92\x90",
                "[2] is of type error, which cannot be part of a payload",
            ),
            (
                b"\x81\xa3a b",
                "[\"a b\"] is of type error, which cannot be part of a payload",
            ),
            (
                b"\x81\x07",
                "[7] is of type error, which cannot be part of a payload",
            ),
            (
                b"\x81",
                "the payload has a key of type error, and keys are strings or whole numbers",
            ),
            (
                b"\x81\xa1x\x81",
                "x has a key of type error, and keys are strings or whole numbers",
            ),
            (b"", "the payload is not a table"),
        ];
        for (before, text) in rows {
            let payload = [before, error, b"\x05\x05"].concat();
            let flaw = check(&payload).unwrap_err();
            assert_eq!(flaw.describe(&payload), text);
        }
        let many = array_of(300, b"\x01");
        let flaw = check(&many).unwrap_err();
        assert_eq!(flaw.describe(&many), "[257] makes it more than 256 values");
        let short = b"\x81\xa1x\x92\x01";
        let flaw = check(short).unwrap_err();
        assert_eq!(flaw.describe(short), "x[2] is not MessagePack");
    }
}
