//! Tests of `--update` without files: after an update, a second check of the same replies passes.

use super::scene::{MUTATIONS, Mutation, mutate, scene};
use super::script::play;
use super::seed::for_each_case;
use crate::bcp::Side;
use crate::check::edits;
use crate::framing::FramingOptions;
use crate::session::{Reader, Record, Writer, apply};

/// The number of random scripts.
const CASES: u64 = 4_000;

/// Writes a recording as a session file with a comment after each record.
fn write(script: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(None);
    for record in script {
        writer.record(record, &mut file);
        file.extend_from_slice(b"# a comment\r\n\n");
    }
    file
}

/// Reads the records of a session file, which may have none after an update.
fn read(file: &[u8]) -> Vec<Record> {
    Reader::new(file, None, &FramingOptions::default()).unwrap().filter_map(Result::ok).collect()
}

#[test]
fn second_check_of_an_updated_recording_passes() {
    for_each_case(CASES, |random| {
        let mut scene = scene(random);
        if scene.events.is_empty() {
            return Ok(());
        }
        let mutation = *random.pick(&MUTATIONS);
        let at = random.below(scene.events.len());
        // A late reply also delays the next request, but not with the updated recording.
        let unstable = matches!(mutation, Mutation::Late | Mutation::AcrossBlocks | Mutation::Closed);
        if unstable || mutate(&mut scene, mutation, at, random).is_none() {
            return Ok(());
        }
        let file = write(&scene.script);
        let outcome = play(&read(&file), &scene.events, &scene.settings);
        let edits = edits(outcome.check.entries(), Side::Server);
        let mut updated = Vec::new();
        apply(&file[..], &edits, &mut updated).unwrap();
        let clean = edits.is_empty();
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
        match again.check.entries().first() {
            None => Ok(()),
            Some(entry) => fail(&format!("still {}", entry.kind_name())),
        }
    });
}
