//! Colors, columns, and JSON.

use core::fmt::Write as _;
use core::time::Duration;
use std::io;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Map, Value, json};
use swim::table::claim::Status;
use swim::table::member::Member;
use swim::wire::msgpack::{Head, NESTING_MAX, Number, Reader};

/// The style of headings.
pub const HEADING: Style = Style::new().bold();

/// The style of what is of little interest.
pub const FAINT: Style = Style::new().dimmed();

/// The style of errors.
pub const WRONG: Style = AnsiColor::Red.on_default();

/// The style of success.
pub const RIGHT: Style = AnsiColor::Green.on_default();

/// The style of a status.
pub const fn style(status: Status) -> Style {
    match status {
        Status::Alive => RIGHT,
        Status::Suspect => AnsiColor::Yellow.on_default(),
        Status::Dead => WRONG,
        Status::NonDecryptable => AnsiColor::Magenta.on_default(),
        Status::Left => FAINT,
    }
}

/// Returns the text in this style. `anstream` drops the style where there is no terminal.
pub fn styled(style: Style, text: impl core::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A table of text, two spaces between the columns.
#[derive(Debug, Default)]
pub struct Columns {
    rows: Vec<Vec<(Style, String)>>,
}

impl Columns {
    /// Begins a table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut row = Vec::with_capacity(headings.len());
        for text in headings {
            row.push((HEADING, (*text).to_owned()));
        }
        Self { rows: vec![row] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<(Style, String)>) {
        self.rows.push(cells);
    }

    /// Returns the table; each row ends with a line break.
    pub fn render(&self) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, (_, text)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            for (column, (style, text)) in row.iter().enumerate() {
                let is_last = column + 1 == row.len();
                let pad = widths[column] - text.chars().count();
                let pad = if is_last { 0 } else { pad + 2 };
                let _ = write!(out, "{style}{text}{style:#}{:pad$}", "");
            }
            out.push('\n');
        }
        out
    }
}

/// Counts members by status: `3 members: 2 alive, 1 dead`.
pub fn tally(members: &[Member]) -> String {
    let mut parts = Vec::new();
    for status in Status::ALL {
        let mut count = 0;
        for member in members {
            count += usize::from(member.claim.status == status);
        }
        if count > 0 {
            parts.push(format!("{count} {}", styled(style(status), status)));
        }
    }
    let count = members.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} member{plural}: {}", parts.join(", "))
}

/// In milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The payload of a member as JSON. As for Lua programs, it is an empty map if none is known.
pub fn payload(member: &Member) -> Value {
    let Some(payload) = &member.payload else {
        return json!({});
    };
    match to_json(&mut Reader::new(payload.bytes()), NESTING_MAX) {
        Some(Value::Array(values)) if values.is_empty() => json!({}),
        Some(value) => value,
        None => json!({}),
    }
}

/// A member as JSON shows it.
#[derive(Debug, Serialize)]
pub struct MemberFields<'a> {
    uri: &'a str,
    status: &'static str,
    incarnation: u64,
    payload: Value,
}

impl<'a> From<&'a Member> for MemberFields<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            uri: &member.uri,
            status: member.claim.status.name(),
            incarnation: member.claim.incarnation.get(),
            payload: payload(member),
        }
    }
}

/// Reads a value of MessagePack. Values that JSON does not have become strings.
fn to_json(reader: &mut Reader<'_>, depth: usize) -> Option<Value> {
    let deeper = depth.checked_sub(1);
    Some(match reader.head().ok()? {
        Head::Nil => Value::Null,
        Head::Bool(value) => value.into(),
        Head::Number(Number::Integer(value)) => {
            match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => value.into(),
                (_, Ok(value)) => value.into(),
                _ => value.to_string().into(),
            }
        }
        // JSON has no infinities.
        Head::Number(Number::Float(value)) if value.is_finite() => value.into(),
        Head::Number(Number::Float(value)) => value.to_string().into(),
        Head::Text(text) => String::from_utf8_lossy(text).into(),
        Head::Extension(2, uuid) if uuid.len() == 16 => uuid_text(uuid).into(),
        Head::Extension(kind, bytes) => format!("ext({kind}):{}", hex(bytes)).into(),
        Head::Array(count) => {
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(to_json(reader, deeper?)?);
            }
            values.into()
        }
        Head::Map(count) => {
            let mut pairs = Map::new();
            for _ in 0..count {
                let key = match to_json(reader, deeper?)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                pairs.insert(key, to_json(reader, deeper?)?);
            }
            pairs.into()
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_text(bytes: &[u8]) -> String {
    let parts = [
        &bytes[..4],
        &bytes[4..6],
        &bytes[6..8],
        &bytes[8..10],
        &bytes[10..],
    ];
    parts.map(hex).join("-")
}

/// JSON on one line, with characters that could deceive on a terminal escaped.
pub fn inert(value: &impl Serialize) -> io::Result<String> {
    Ok(escape(&serde_json::to_string(value)?))
}

/// JSON on several lines, with characters that could deceive on a terminal escaped.
pub fn inert_lines(value: &impl Serialize) -> io::Result<String> {
    Ok(escape(&serde_json::to_string_pretty(value)?))
}

/// The payload of a member as JSON on one line, escaped like that.
pub fn payload_text(member: &Member) -> String {
    escape(&payload(member).to_string())
}

/// A text that an instance has told, on one line and escaped like that.
pub fn inert_text(text: &str) -> String {
    escape(text).replace('\n', "\\n")
}

/// Escapes characters that a member may have put into its payload to deceive the operator. A parser reads
/// the same as before: such characters are only in strings, but for the line breaks between values.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !deceives(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Whether a character controls the terminal or is not visible as what it is: the control and format
/// characters of Unicode (Cc, Cf), some of which reverse the direction of text or have no width, and
/// the separators of lines and paragraphs (Zl, Zp).
const fn deceives(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_payload_has_a_form_in_json() {
        let rows: [(&[u8], &str); 6] = [
            (b"\x82\xa1a\x01\x05\xff", r#"{"a":1,"5":-1}"#),
            (b"\x92\xc0\xc3", "[null,true]"),
            (
                b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                "[18446744073709551615]",
            ),
            (b"\x91\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", r#"["-inf"]"#),
            (b"\x91\xd4\x01\x7f", r#"["ext(1):7f"]"#),
            (
                b"\x91\xd8\x02\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
                r#"["00112233-4455-6677-8899-aabbccddeeff"]"#,
            ),
        ];
        for (bytes, expected) in rows {
            let value = to_json(&mut Reader::new(bytes), NESTING_MAX).expect("a value");
            let expected: Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(value, expected, "{bytes:x?}");
        }
        let deep = [vec![0x91; 1000], vec![0xc0]].concat();
        assert_eq!(to_json(&mut Reader::new(&deep), NESTING_MAX), None);
    }

    #[test]
    fn characters_that_deceive_are_escaped_and_read_the_same() {
        let tricks = "\u{1b}[31m \u{7f} \u{85} \u{9b}31m \u{202e}txt.exe \u{2066} \u{200b} \u{ad} \u{2028} \u{e0041}";
        let value = json!({ tricks: [tricks] });
        for text in [inert(&value), inert_lines(&value)] {
            let text = text.expect("it is JSON");
            let raw = |c: char| {
                c != '\n'
                    && (c.is_control()
                        || "\u{202e}\u{2066}\u{200b}\u{ad}\u{2028}\u{e0041}".contains(c))
            };
            assert!(!text.contains(raw), "{text:?}");
            let read: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(read, value);
        }
        let honest = json!(
            "Straße, \u{5e9}\u{5dc}\u{5d5}\u{5dd}, हिन्दी, 日本語\u{3000}, \u{1f600}, e\u{301}"
        );
        assert_eq!(inert(&honest).expect("it is JSON"), honest.to_string());
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut columns = Columns::new(&["A", "BB"]);
        columns.row(vec![
            (Style::new(), "long".to_owned()),
            (Style::new(), "x".to_owned()),
        ]);
        let plain = anstream::adapter::strip_str(&columns.render()).to_string();
        assert_eq!(plain, "A     BB\nlong  x\n");
    }
}
