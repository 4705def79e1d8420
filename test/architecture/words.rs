//! Words that were given up, in sources and documents: comments, identifiers, texts for users. What to
//! write instead is beside each, and in `doc/glossary.md`.

use crate::project;

/// What was given up, and what has taken its place. Several words are a phrase; of an identifier each
/// part is a word.
const RETIRED: [(&str, &str); 43] = [
    // Name the actor: the member, the peer, the sender, the caller, the local node, the operator.
    ("whoever", "the member, the peer, the sender, …"),
    ("whomever", "the member, the peer, the sender, …"),
    ("somebody", "a member, a peer, an operator, …"),
    ("anybody", "any member, any peer, …"),
    ("everybody", "all members, all peers, …"),
    ("nobody", "no member, no peer, …"),
    // A process is "it".
    ("he", "it"),
    ("his", "its"),
    ("him", "it"),
    ("himself", "itself"),
    // One term for one thing.
    ("courtesy", "amplification limit"),
    ("oblige", "with_limit"),
    ("obliged", "with_limit"),
    ("graves", "tombstones"),
    ("exhume", "restore"),
    ("be alive again", "refute"),
    ("doubt myself", "suspect_self"),
    ("regain confidence", "clear_self_suspicion"),
    ("deaf", "isolated"),
    ("deafness", "isolation"),
    ("discreet", "withhold_if_isolated"),
    ("discretion", "withholding suspicions"),
    ("stopwatch", "expiry queue"),
    ("stopwatches", "expiry queue"),
    ("enquiry", "app ping"),
    ("enquiries", "app pings"),
    ("errand", "indirect ping"),
    ("errands", "indirect pings"),
    ("roster", "admin"),
    ("part ways", "reseed_after_fork"),
    ("gibberish", "undecodable"),
    ("smells", "may be"),
    ("lua rock", "membership 2.x"),
    ("doorbell", "waker"),
    ("bell", "waker"),
    ("chime", "throttle"),
    ("chores", "effects"),
    ("residents", "members_at"),
    ("deeds", "faults"),
    ("onlooker", "observer"),
    ("mould", "template"),
    ("answers stray", "acks_unsolicited"),
    ("rumors dropped", "rumors.expired"),
];

/// Where retired words are still counted, and not yet refused.
const UNFINISHED: [&str; 1] = ["test/"];

/// Files that have to write these words: this list, what counts them, and a change log that quotes a
/// heading.
const EXEMPT: [&str; 3] = [
    "test/architecture/words.rs",
    "scripts/count.py",
    "CHANGELOG.md",
];

const ENDINGS: [&str; 7] = [".rs", ".lua", ".py", ".md", ".sh", ".toml", ".yml"];

/// The words of a text in lower case, each with its line. Of `popRipe`, `PopRipe` and `pop_ripe` they
/// are "pop" and "ripe".
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        let mut is_after_lower = false;
        for c in line.chars().chain(Some(' ')) {
            let begins = c.is_uppercase() && is_after_lower;
            if (begins || !c.is_alphabetic()) && !word.is_empty() {
                words.push((index + 1, core::mem::take(&mut word)));
            }
            if c.is_alphabetic() {
                word.extend(c.to_lowercase());
            }
            is_after_lower = c.is_lowercase();
        }
    }
    words
}

/// The retired words in a text: line, word, what to write instead.
fn retired_in(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for (phrase, instead) in RETIRED {
        let phrase_words: Vec<&str> = phrase.split(' ').collect();
        for candidate in words.windows(phrase_words.len()) {
            let is_phrase = candidate
                .iter()
                .zip(&phrase_words)
                .all(|((_, word), wanted)| word == wanted);
            if is_phrase {
                found.push((candidate[0].0, phrase, instead));
            }
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn words_of_identifiers_and_phrases_over_two_lines_are_found() {
    let found = retired_in(
        "fn ring_doorbell() {}\n// Whoever asks of a Lua\n// rock: TheGravesOf, the bells",
    );
    let found: Vec<(usize, &str)> = found.iter().map(|(line, word, _)| (*line, *word)).collect();
    assert_eq!(
        found,
        [
            (1, "doorbell"),
            (2, "lua rock"),
            (2, "whoever"),
            (3, "graves")
        ]
    );
}

/// Words with which no sentence, cell or item begins: they stand for an actor that is not named.
const ACTORLESS: [&str; 6] = ["Who", "Whoever", "Whom", "Whose", "What", "Whatever"];

/// The beginnings of sentences, cells and items on a line of a document.
fn beginnings(line: &str) -> Vec<&str> {
    let mut found = vec![line];
    for mark in [". ", "? ", "! ", ": ", "; ", "| ", "- ", "**"] {
        found.extend(line.split(mark).skip(1));
    }
    found
}

#[test]
fn sentences_of_documents_name_their_actor() {
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        let mut is_block = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            is_block ^= line.starts_with("```");
            if is_block || line.starts_with(['#', '<']) {
                continue;
            }
            for beginning in beginnings(line) {
                let word = beginning.split(|c: char| !c.is_alphabetic()).next();
                if word.is_some_and(|word| ACTORLESS.contains(&word)) {
                    wrong.push(format!("{document}:{}: {beginning}", index + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn retired_words_stay_out() {
    let mut unfinished = vec![0; UNFINISHED.len()];
    let mut wrong = Vec::new();
    for path in project::paths("") {
        let is_text = ENDINGS.iter().any(|ending| path.ends_with(ending));
        if !is_text || EXEMPT.contains(&path.as_str()) {
            continue;
        }
        let found = retired_in(&project::read(&path));
        if let Some(place) = UNFINISHED
            .iter()
            .position(|prefix| path.starts_with(prefix))
        {
            unfinished[place] += found.len();
            continue;
        }
        for (line, word, instead) in found {
            wrong.push(format!("{path}:{line}: \"{word}\", better \"{instead}\""));
        }
    }
    for (place, count) in unfinished.iter().enumerate() {
        println!("{}: {count} retired words", UNFINISHED[place]);
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
