//! Datagrams that were recorded from membership 2.x, and examples of the short form, as inputs of each target.

use serde_json::Value;
use swim::wire::checked_short;

use super::{cost, life, open};

/// A recorded datagram: as it was sent, and its plain text.
struct Recording {
    name: String,
    sent: Vec<u8>,
    plain: Vec<u8>,
}

fn recordings() -> impl Iterator<Item = Recording> {
    let lines = include_str!("../../test/vectors/old-rock.jsonl").lines();
    lines.map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let bytes = |field: &str| line[field].as_str().map(unhex);
        let sent = bytes("hex").expect("a datagram");
        Recording {
            name: line["name"].as_str().expect("a name").to_owned(),
            plain: bytes("plain_hex").unwrap_or_else(|| sent.clone()),
            sent,
        }
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.map(byte).collect()
}

/// Examples of the short form.
fn short() -> impl Iterator<Item = Recording> {
    let lines = include_str!("../../test/vectors/short.jsonl").lines();
    lines.map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let sent = unhex(line["hex"].as_str().expect("a datagram"));
        Recording {
            name: line["name"].as_str().expect("a name").to_owned(),
            plain: checked_short(&sent).expect("it is whole").to_vec(),
            sent,
        }
    })
}

/// The seeds of the target of this name, each with a name.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let seed = |recording: Recording| {
        let bytes = match target {
            "decode" => recording.plain,
            "open" => open::input(&recording.sent),
            "life" => life::input(&recording.plain),
            "cost" => cost::input(&recording.plain),
            _ => panic!("no target is called {target}"),
        };
        (recording.name, bytes)
    };
    recordings().chain(short()).map(seed).collect()
}
