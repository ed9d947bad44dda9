//! `--update` without files: whatever a peer did otherwise, the updated recording says so, and a second update finds
//! nothing (design.md, section 11).

mod common;

use backbox::bcp::is_command;
use backbox::check::{Edits, Kind, Splice};
use backbox::framing::FramingOptions;
use backbox::session::{Reader, Record, RecordKind, Spans, Writer};
use common::checking::{Recorded, play};
use common::random::for_each_case;
use common::scene::{MUTATIONS, Mutation, mutate, scene};

/// How many random scripts are updated.
const CASES: u64 = 4_000;

/// A session file of a recording, with a comment behind each record.
fn write(script: &[Recorded]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(None);
    for Recorded { time, side, line, payload, .. } in script {
        let (time, side, payload) = (*time, *side, payload.as_deref());
        writer.write(&Record { number: 0, time, connection: 1, side, line, payload }, &mut file);
        file.extend_from_slice(b"# a comment\r\n\n");
    }
    file
}

/// The records of a session file.
fn read(file: &[u8]) -> Vec<Recorded> {
    let mut reader =
        Reader::new(None, FramingOptions { read_bytes: file.len(), ..FramingOptions::default() }, is_command);
    reader.space()[..file.len()].copy_from_slice(file);
    reader.filled(file.len());
    let mut records = Vec::new();
    while let Some(record) = reader.next_record() {
        let Record { number, time, side, line, payload, .. } = record.unwrap();
        let (line, payload) = (line.to_vec(), payload.map(<[u8]>::to_vec));
        records.push(Recorded { number, time, side, line, payload });
    }
    records
}

/// Makes the changes, whatever the pieces that the file is read in.
fn update(file: &[u8], edits: &mut Edits, piece: usize) -> Vec<u8> {
    let mut spans = Spans::new(FramingOptions::default());
    let mut splices: Vec<Splice> = Vec::new();
    for bytes in file.chunks(piece) {
        spans.space()[..bytes.len()].copy_from_slice(bytes);
        spans.filled(bytes.len());
        while let Some((number, span)) = spans.next_span() {
            edits.record(number, span, &mut splices);
        }
    }
    if let Some((number, span)) = spans.end() {
        edits.record(number, span, &mut splices);
    }
    assert!(edits.is_empty(), "{edits:?}");
    let (mut updated, mut at) = (Vec::new(), 0);
    for (span, text) in splices {
        updated.extend_from_slice(&file[at..span.start as usize]);
        updated.extend(text);
        at = span.end as usize;
    }
    updated.extend_from_slice(&file[at..]);
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
        let mut edits = Edits::of(outcome.check.entries(), RecordKind::Server, scene.settings.exact);
        let clean = edits.is_empty();
        let updated = update(&file, &mut edits, 1 + random.below(64));
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
