//! Payloads that no program has set: by the grammar of MessagePack and of Tarantool's extensions, with
//! values at and beyond the ends of what is allowed; and some of them damaged.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// How large a payload gets, so that it fits whatever it comes in.
const SIZE_MAX: usize = 900;

/// How deep tables nest, but for those that are about nothing else.
const DEPTH: u32 = 5;

/// A payload. Every other one has only what is allowed, some are damaged, and some are not even meant to
/// be one.
pub fn invent(rng: &mut StdRng) -> Vec<u8> {
    loop {
        let mut out = Vec::new();
        match rng.random_range(0..40) {
            0 => nested(&mut out, rng),
            1 => crowded(&mut out, rng),
            _ => {
                let wild = rng.random_ratio(1, 2);
                Grammar { rng, wild }.table(&mut out, DEPTH);
            }
        }
        if rng.random_ratio(1, 4) {
            for _ in 0..rng.random_range(1..4) {
                damage(&mut out, rng);
            }
        }
        if out.len() <= SIZE_MAX {
            return out;
        }
    }
}

/// About as deep as is allowed.
fn nested(out: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(28..36) {
        out.extend(if rng.random() {
            &b"\x91"[..]
        } else {
            b"\x81\xa1k"
        });
    }
    out.push(0x90);
}

/// About as many tables, or values, as are allowed.
fn crowded(out: &mut Vec<u8>, rng: &mut StdRng) {
    let (count, item): (u16, &[u8]) = if rng.random() {
        (rng.random_range(60..68), b"\x80")
    } else {
        (rng.random_range(250..262), b"\xc0")
    };
    out.push(0xdc);
    out.extend(count.to_be_bytes());
    (0..count).for_each(|_| out.extend(item));
}

struct Grammar<'a> {
    rng: &'a mut StdRng,
    /// Whether there may be what is not allowed.
    wild: bool,
}

impl Grammar<'_> {
    fn table(&mut self, out: &mut Vec<u8>, depth: u32) {
        let count = self.rng.random_range(0..8_u8);
        let is_map = self.rng.random();
        match (is_map, self.rng.random_range(0..8)) {
            (false, 0) => out.extend([0xdc, 0, count]),
            (false, 1) => out.extend([0xdd, 0, 0, 0, count]),
            (false, _) => out.push(0x90 | count),
            (true, 0) => out.extend([0xde, 0, count]),
            (true, 1) => out.extend([0xdf, 0, 0, 0, count]),
            (true, _) => out.push(0x80 | count),
        }
        for _ in 0..count {
            if is_map {
                self.key(out);
            }
            self.value(out, depth);
        }
    }

    fn key(&mut self, out: &mut Vec<u8>) {
        if self.wild && self.rng.random_ratio(1, 30) {
            self.value(out, 1);
        } else if self.rng.random_ratio(1, 4) {
            self.integer(out);
        } else {
            self.string(out);
        }
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: u32) {
        match self.rng.random_range(0..16) {
            0 => out.push(0xc0),
            1 => out.push(if self.rng.random() { 0xc2 } else { 0xc3 }),
            2..=4 => self.integer(out),
            5 => self.float(out),
            6..=8 => self.string(out),
            9 => self.binary(out),
            10..=12 => self.extension(out),
            _ if depth > 0 => self.table(out, depth - 1),
            _ => out.push(0x90),
        }
    }

    fn integer(&mut self, out: &mut Vec<u8>) {
        let marker = self.rng.random_range(0xcc..=0xd3_u8);
        let size = 1 << (marker & 0x03);
        match self.rng.random_range(0..4) {
            0 => out.push(self.rng.random_range(0..0x80)),
            1 => out.push(self.rng.random_range(0xe0..=0xff)),
            edge => {
                out.push(marker);
                let fill = [0, 0x7f, 0x80, 0xff][self.rng.random_range(0..4)];
                let random = edge == 2;
                out.extend((0..size).map(|_| if random { self.rng.random() } else { fill }));
            }
        }
    }

    fn float(&mut self, out: &mut Vec<u8>) {
        let special = [
            0.0,
            -0.0,
            0.5,
            1e300,
            f64::INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE,
        ];
        let float = special[self.rng.random_range(0..special.len())];
        if self.rng.random() {
            out.push(0xca);
            out.extend((float as f32).to_be_bytes());
        } else {
            out.push(0xcb);
            out.extend(float.to_be_bytes());
        }
    }

    fn string(&mut self, out: &mut Vec<u8>) {
        let length = self.rng.random_range(0..12_u8);
        match self.rng.random_range(0..8) {
            0 => out.extend([0xd9, length]),
            1 => out.extend([0xda, 0, length]),
            2 => out.extend([0xdb, 0, 0, 0, length]),
            _ => out.push(0xa0 | length),
        }
        let is_text = self.rng.random_ratio(3, 4);
        out.extend((0..length).map(|_| match is_text {
            true => self.rng.random_range(b'a'..=b'e'),
            false => self.rng.random(),
        }));
    }

    fn binary(&mut self, out: &mut Vec<u8>) {
        let length = self.rng.random_range(0..12_u8);
        match self.rng.random_range(0..3) {
            0 => out.extend([0xc4, length]),
            1 => out.extend([0xc5, 0, length]),
            _ => out.extend([0xc6, 0, 0, 0, length]),
        }
        out.extend((0..length).map(|_| self.rng.random::<u8>()));
    }

    fn extension(&mut self, out: &mut Vec<u8>) {
        let (mut kind, mut body) = match self.rng.random_range(0..4) {
            0 => (1, self.decimal()),
            1 => (2, self.uuid()),
            2 => (4, self.datetime()),
            _ => (6, self.interval()),
        };
        if self.wild && self.rng.random_ratio(1, 8) {
            damage(&mut body, self.rng);
        }
        if self.wild && self.rng.random_ratio(1, 20) {
            kind = self.rng.random();
        }
        let Ok(length) = u8::try_from(body.len()) else {
            return out.push(0xc0);
        };
        match (length, self.rng.random_range(0..4)) {
            (1 | 2 | 4 | 8 | 16, 1..) => out.push(0xd4 + length.trailing_zeros() as u8),
            (_, 0) => out.extend([0xc8, 0, length]),
            (_, 1) => out.extend([0xc9, 0, 0, 0, length]),
            _ => out.extend([0xc7, length]),
        }
        out.push(kind);
        out.extend(body);
    }

    /// Whether to go beyond what is allowed just here.
    fn errs(&mut self) -> bool {
        self.wild && self.rng.random_ratio(1, 10)
    }

    fn decimal(&mut self) -> Vec<u8> {
        let digits = self.rng.random_range(1..=38_i32);
        let mut scale = self.rng.random_range(digits - 38..=38);
        if self.errs() {
            scale = self.rng.random_range(-60..60);
        }
        let mut body = Vec::new();
        match i8::try_from(scale).expect("small") {
            scale @ -32..=127 => body.push(scale.cast_unsigned()),
            scale => body.extend([0xd0, scale.cast_unsigned()]),
        }
        let digit = |rng: &mut StdRng| rng.random_range(0..10_u8);
        let first = if digits % 2 == 0 { 0 } else { digit(self.rng) };
        let mut half = first;
        for _ in 0..digits / 2 {
            body.push(half << 4 | digit(self.rng));
            half = digit(self.rng);
        }
        let sign = if self.errs() { 0 } else { 10 };
        body.push(half << 4 | self.rng.random_range(sign..16));
        body
    }

    fn uuid(&mut self) -> Vec<u8> {
        let mut bytes: [u8; 16] = self.rng.random();
        if !self.errs() {
            bytes[8] &= 0xdf;
        }
        bytes.to_vec()
    }

    fn datetime(&mut self) -> Vec<u8> {
        let ends = [-377_705_203_200, 253_402_300_799, 0, 1_700_000_000];
        let mut seconds: i64 = ends[self.rng.random_range(0..4)];
        if self.errs() {
            seconds = self.rng.random();
        }
        let mut body = seconds.to_le_bytes().to_vec();
        if self.rng.random_ratio(3, 4) {
            let errs = self.errs();
            let nanoseconds = if errs {
                self.rng.random()
            } else {
                self.rng.random_range(0..1_000_000_000)
            };
            let offset = if errs {
                self.rng.random()
            } else {
                self.rng.random_range(-720..=840)
            };
            let index = if self.wild { 0..1030 } else { 672..1012_i16 };
            body.extend(i32::to_le_bytes(nanoseconds));
            body.extend(i16::to_le_bytes(offset));
            body.extend(self.rng.random_range(index).to_le_bytes());
        }
        body
    }

    fn interval(&mut self) -> Vec<u8> {
        let mut body = vec![0];
        for field in 0..9 {
            if self.rng.random() {
                continue;
            }
            body[0] += 1;
            body.push(if self.errs() {
                self.rng.random()
            } else {
                field
            });
            match self.rng.random_range(0..4) {
                _ if field == 8 => body.push(self.rng.random_range(0..3)),
                0 => body.push(self.rng.random_range(0xe0..=0xff)),
                1 => body.extend(b"\xd2\x80\x00\x00\x00"),
                2 => body.extend(b"\xce\x7f\xff\xff\xff"),
                _ => body.push(self.rng.random_range(0..0x80)),
            }
        }
        body
    }
}

/// What says how long something is, or of which type.
const ODD_BYTES: [u8; 14] = [
    0, 1, 3, 4, 7, 0x7f, 0x80, 0x91, 0xc0, 0xc7, 0xd8, 0xdb, 0xdf, 0xff,
];

fn damage(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..6) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = ODD_BYTES[rng.random_range(0..ODD_BYTES.len())],
        3 => bytes.truncate(at),
        4 => drop(bytes.remove(at)),
        _ => bytes.insert(at, rng.next_u32() as u8),
    }
}
