//! Many read the documents on a phone: pictures can be read there, too, and load fast.

use crate::project;

/// How many pixels wide a phone shows a picture.
const PHONE_WIDTH: f64 = 360.0;

/// How many pixels letters have there at least: as many as those of the terminal in `doc/plots/demo.svg`, where a
/// line is long.
const LETTER_MIN: f64 = 8.5;

/// How large a picture is at most, in bytes.
const SIZE_MAX: usize = 60_000;

/// The number at the beginning of a text, after what is in `skipped`.
fn number(text: &str, skipped: &[char]) -> f64 {
    let text = text.trim_start_matches(skipped);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let digits = &text[..end.unwrap_or(text.len())];
    digits.parse().expect("a number")
}

/// The sizes of all letters, in the units of the picture.
fn letters(picture: &str) -> Vec<f64> {
    let mut sizes = Vec::new();
    for name in ["font-size", "font:"] {
        let values = picture.split(name).skip(1);
        sizes.extend(values.map(|value| number(value, &[':', '=', '"', ' '])));
    }
    sizes
}

#[test]
fn pictures_can_be_read_on_a_phone() {
    let mut wrong = Vec::new();
    for (path, picture) in project::files("doc/plots", ".svg") {
        let (_, size) = picture.split_once("viewBox=\"0 0 ").expect("a size");
        let scale = PHONE_WIDTH / number(size, &[]);
        let smallest = letters(&picture).into_iter().fold(f64::INFINITY, f64::min);
        if smallest * scale < LETTER_MIN {
            wrong.push(format!("{path}: letters of {:.1} pixels", smallest * scale));
        }
        if picture.len() > SIZE_MAX {
            wrong.push(format!("{path}: {} bytes", picture.len()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn each_picture_is_shown_and_told_in_words() {
    let documents = project::documents();
    let mut wrong = Vec::new();
    for (path, _) in project::files("doc/plots", ".svg") {
        let (_, name) = path.rsplit_once('/').expect("a directory");
        let shown = documents.iter().flat_map(|(document, text)| {
            let images = text.split("![").skip(1);
            images
                .filter_map(|image| image.split_once("]("))
                .filter(|(_, target)| {
                    target
                        .split(')')
                        .next()
                        .is_some_and(|target| target.ends_with(&format!("/{name}")))
                })
                .map(move |(words, _)| (document, words))
        });
        let shown: Vec<_> = shown.collect();
        if shown.is_empty() {
            wrong.push(format!("{path}: in no document"));
        }
        // Those who do not see it are to learn the same.
        for (document, words) in shown {
            if words.split_whitespace().count() < 8 {
                wrong.push(format!("{document}: {path} is called only \"{words}\""));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
