//! Nested tables with names, as MessagePack for Lua.

use core::time::Duration;

use rmp::encode as msgpack;

use super::blob::{array, infallible, map, text};

/// What a name stands for.
pub enum Node {
    Count(u64),
    Number(f64),
    Flag(bool),
    List(Vec<Self>),
    Text(String),
    Table(Vec<(&'static str, Self)>),
    /// What is not known: left out.
    Unknown,
}

impl Node {
    /// In seconds.
    pub fn time(time: impl Into<Option<Duration>>) -> Self {
        let time = time.into();
        time.map_or(Self::Unknown, |time| Self::Number(time.as_secs_f64()))
    }

    /// A table of counts.
    pub fn counts<const N: usize>(counts: [(&'static str, u64); N]) -> Self {
        Self::Table(
            counts
                .map(|(name, count)| (name, Self::Count(count)))
                .into(),
        )
    }

    /// Appends it to `blob`.
    pub fn write(&self, blob: &mut Vec<u8>) {
        match self {
            Self::Count(count) => infallible(msgpack::write_uint(blob, *count)),
            Self::Number(number) => infallible(msgpack::write_f64(blob, *number)),
            Self::Flag(flag) => infallible(msgpack::write_bool(blob, *flag)),
            Self::Text(words) => text(blob, words.as_bytes()),
            Self::List(items) => {
                array(blob, items.len());
                items.iter().for_each(|item| item.write(blob));
            }
            Self::Table(entries) => {
                let known = |(_, node): &&(_, Self)| !matches!(node, Self::Unknown);
                map(blob, entries.iter().filter(known).count());
                for (name, node) in entries.iter().filter(known) {
                    text(blob, name.as_bytes());
                    node.write(blob);
                }
            }
            Self::Unknown => unreachable!("it stands in tables only"),
        }
    }
}
