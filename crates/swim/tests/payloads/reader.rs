//! A Tarantool that reads payloads: a child process, spoken to through its standard input and output.

use std::env;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What came of reading one payload.
pub enum Read {
    /// It could be read; this is what Tarantool encodes of it.
    Fine {
        /// MessagePack.
        again: Vec<u8>,
    },
    /// It has a datetime or an interval, which this version of Tarantool does not know.
    UnknownExtension,
    /// An error was raised.
    Failed {
        /// Its text.
        why: String,
    },
}

pub struct Reader {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Reader {
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tarantool = env::var_os("TARANTOOL").unwrap_or_else(|| "tarantool".into());
        let mut process = Command::new(&tarantool)
            .arg(root.join("tests/payloads/reader.lua"))
            .arg(root.join("lua"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", tarantool.display()));
        let input = process.stdin.take().expect("a pipe");
        let output = process.stdout.take().expect("a pipe");
        Self {
            process,
            input,
            output,
        }
    }

    /// Has all these payloads read. An error says that the process is gone.
    pub fn read(&mut self, batch: &[Vec<u8>]) -> io::Result<Vec<Read>> {
        let mut request = size(batch.len()).to_vec();
        for payload in batch {
            request.extend(size(payload.len()));
            request.extend(payload);
        }
        self.input.write_all(&request)?;
        self.input.flush()?;
        batch.iter().map(|_| self.next_answer()).collect()
    }

    fn next_answer(&mut self) -> io::Result<Read> {
        let mut head = [0; 5];
        self.output.read_exact(&mut head)?;
        let [verdict, size @ ..] = head;
        let mut text = vec![0; u32::from_be_bytes(size) as usize];
        self.output.read_exact(&mut text)?;
        Ok(match verdict {
            b'+' => Read::Fine { again: text },
            b'?' => Read::UnknownExtension,
            _ => Read::Failed {
                why: String::from_utf8_lossy(&text).into_owned(),
            },
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

fn size(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("small").to_be_bytes()
}
