//! `--update` without files: whatever a peer did otherwise, the updated recording says so, and a second update finds
//! nothing (design.md, section 11).

mod common;

use backbox::bcp::Side;
use backbox::check::{Edits, Kind, Splice};
use backbox::framing::FramingOptions;
use backbox::session::{Reader, Record, Writer, apply};
use common::checking::play;
use common::random::for_each_case;
use common::scene::{MUTATIONS, Mutation, mutate, scene};

/// How many random scripts are updated.
const CASES: u64 = 4_000;

/// A session file of a recording, with a comment behind each record.
fn write(script: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(None);
    for record in script {
        writer.record(record, &mut file);
        file.extend_from_slice(b"# a comment\r\n\n");
    }
    file
}

/// The records of a session file; an update may have left none.
fn read(file: &[u8]) -> Vec<Record> {
    Reader::new(file, None, &FramingOptions::default()).unwrap().filter_map(Result::ok).collect()
}

/// Makes the changes.
fn update(file: &[u8], edits: &mut Edits) -> Vec<u8> {
    let mut splices: Vec<Splice> = Vec::new();
    for record in read(file) {
        edits.record(record.number, record.span, &mut splices);
    }
    assert!(edits.is_empty(), "{edits:?}");
    let mut updated = Vec::new();
    apply(file, &splices, &mut updated).unwrap();
    updated
}

#[test]
fn an_updated_recording_is_what_came() {
    for_each_case(CASES, |random| {
        let mut scene = scene(random);
        if scene.events.is_empty() {
            return Ok(());
        }
        let mutation = *random.pick(&MUTATIONS);
        let at = random.below(scene.events.len());
        // When an answer comes late, the next line of ours does too: without waiting for it all comes otherwise.
        let unstable = matches!(mutation, Mutation::Late | Mutation::AcrossBlocks | Mutation::Closed);
        if unstable || mutate(&mut scene, mutation, at, random).is_none() {
            return Ok(());
        }
        let file = write(&scene.script);
        let outcome = play(&read(&file), &scene.events, &scene.settings);
        let mut edits = Edits::of(outcome.check.entries(), Side::Server, scene.settings.exact);
        let clean = edits.is_empty();
        let updated = update(&file, &mut edits);
        let fail =
            |what: &str| Err(format!("{mutation:?} of {at}: {what}\n{}\n{}", scene.shown(), updated.escape_ascii()));
        if clean != outcome.check.entries().is_empty() || clean != (updated == file) {
            return fail("a difference and no change, or the reverse");
        }
        let comments = |file: &[u8]| file.windows(14).filter(|bytes| *bytes == b"# a comment\r\n\n").count();
        if comments(&file) != comments(&updated) {
            return fail("a comment is gone");
        }
        let again = play(&read(&updated), &scene.events, &scene.settings);
        match again.check.entries().first().map(|entry| &entry.kind) {
            None | Some(Kind::Late(_)) => Ok(()),
            Some(kind) => fail(&format!("still {}", kind.name())),
        }
    });
}
