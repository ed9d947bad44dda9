//! Tests of `replay --check` without sockets: the scripts of `tests/data/check.jsonl` with their reports, and that one
//! mutation of a reply is one difference.

#[path = "report_tests.rs"]
mod report;
#[path = "script_tests.rs"]
mod script;
#[path = "../../tests/common/seed.rs"]
mod seed;

use std::time::Duration;

use crate::bcp::Side;
use crate::check::report::Entry;
use crate::check::{Check, CloseKind, EntryKind, NextStep};
use crate::session::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use script::{MUTATIONS, Scene, Settings, Speed, What, When, mutate, play, record, scene};
use seed::for_each_case;
use serde_json::{Value, json};

#[test]
fn each_script_produces_its_report() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/check.jsonl");
    let cases = std::fs::read_to_string(cases).unwrap();
    let all: Vec<Value> = cases.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 148);
    let wrong: Vec<String> = all.iter().filter_map(|case| script(case).err()).collect();
    assert!(wrong.is_empty(), "{} scripts differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn script(case: &Value) -> Result<(), String> {
    let settings = settings(&case["settings"]);
    let script: Vec<Record> = case["script"].as_array().unwrap().iter().map(recorded).collect();
    let events: Vec<(When, What)> = case["events"].as_array().unwrap().iter().map(event).collect();
    let outcome = play(&script, &events, &settings);
    let entries = &outcome.check.entries;
    let report: Vec<Value> = entries.iter().map(entry).collect();
    let lines: Vec<Value> = entries
        .iter()
        .map(|entry| {
            entry.received.as_ref().map_or(Value::Null, |received| json!(outcome.events[received.number as usize]))
        })
        .collect();
    let exit = i32::from(!entries.is_empty() || outcome.check.compared == 0);
    let sent: Vec<Option<u128>> = outcome.sent.iter().map(|time| time.map(|time| time.as_micros())).collect();
    let expected_sent: Vec<Option<u128>> =
        case["sent"].as_array().unwrap().iter().map(|time| time.as_f64().map(|t| seconds(t).as_micros())).collect();
    let expected_lines = case.get("lines").cloned().unwrap_or_else(|| json!([]));
    let got = (json!(report), json!(lines), json!(exit), sent);
    let expected = (case["report"].clone(), expected_lines, case["exit"].clone(), expected_sent);
    if got == expected { Ok(()) } else { Err(format!("{}:\n   got {got:?}\nwanted {expected:?}", case["name"])) }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_micros((seconds * 1e6).round() as u64)
}

fn settings(value: &Value) -> Settings {
    let list = |name: &str| -> Vec<String> {
        value[name].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let is = |name: &str| value[name].as_bool().unwrap_or(false);
    let known = ["ignore", "exclude", "any_order", "exact", "fail_fast", "reply_timeout", "speed"];
    assert!(value.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{value}");
    Settings {
        ignore: list("ignore"),
        exclude: list("exclude"),
        any_order: list("any_order"),
        exact: is("exact"),
        fail_fast: is("fail_fast"),
        reply_timeout: seconds(value["reply_timeout"].as_f64().unwrap_or(5.0)),
        speed: if value["speed"] == "max" { Speed::Max } else { Speed::Times(value["speed"].as_f64().unwrap_or(1.0)) },
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match value.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(value["b64"].as_str().unwrap()).unwrap(),
    }
}

fn recorded(value: &Value) -> Record {
    let (side, is_pattern) = match value[1].as_str().unwrap() {
        ">" => (Side::Client, false),
        "<" => (Side::Server, false),
        "~" => (Side::Server, true),
        other => panic!("side {other}"),
    };
    let payload = value[3].as_str().map(|text| STANDARD.decode(text).unwrap());
    let time = value[0].as_f64().map(seconds);
    Record { is_pattern, ..record(0, time, side, &bytes(&value[2]), payload.as_deref()) }
}

fn event(value: &Value) -> (When, What) {
    let when = match value[0].as_str() {
        None => When::At(seconds(value[0].as_f64().unwrap())),
        Some(text) => {
            let (line, later) = text.split_once('+').unwrap();
            When::After(line.parse().unwrap(), seconds(later.parse().unwrap()))
        }
    };
    let what = match (&value[1], value[2].as_str()) {
        (Value::Null, Some("closed")) => What::Closes(CloseKind::Closed),
        (Value::Null, Some("reset")) => What::Closes(CloseKind::Reset),
        (line, payload) => {
            What::Sends(bytes(line), payload.map(|text| STANDARD.decode(text).unwrap()).unwrap_or_default())
        }
    };
    (when, what)
}

/// An entry of the report, in the form of the scripts.
fn entry(entry: &Entry) -> Value {
    let index = entry.recorded.as_ref().map(|recorded| recorded.number - 1);
    let names: Vec<&str> = match &entry.kind {
        EntryKind::Differs(differences) => differences.iter().map(|difference| difference.name.as_str()).collect(),
        _ => Vec::new(),
    };
    match entry.kind {
        EntryKind::Gone(_, count) => json!(["gone", index, names, count]),
        _ => json!([entry.kind_name(), index, names]),
    }
}

/// The number of random scripts.
const CASES: u64 = 6_000;

#[test]
fn one_mutation_is_one_difference() {
    for_each_case(CASES, |random| {
        let mut scene = scene(random);
        let report = |scene: &Scene| -> Vec<String> {
            let outcome = play(&scene.script, &scene.events, &scene.settings);
            outcome.check.entries.iter().map(|shown| entry(shown).to_string()).collect()
        };
        let clean = report(&scene);
        if !clean.is_empty() {
            return Err(format!("without a mutation: {}\n{}", clean.join(" "), scene.shown()));
        }
        if scene.events.is_empty() {
            return Ok(());
        }
        let mutation = *random.pick(&MUTATIONS);
        let at = random.below(scene.events.len());
        let Some(expected) = mutate(&mut scene, mutation, at, random) else { return Ok(()) };
        let entries = report(&scene);
        if expected.contains(&entries.len()) {
            return Ok(());
        }
        Err(format!(
            "{mutation:?} of {at}: {} entries, not {expected:?}: {}\n{}",
            entries.len(),
            entries.join(" "),
            scene.shown()
        ))
    });
}

fn line(side: Side, text: String) -> Record {
    record(0, Some(Duration::ZERO), side, text.as_bytes(), None)
}

/// The kinds of the entries for one request with these replies or patterns, if the peer sends `messages` instead.
fn kinds_of_block(replies: Vec<Record>, messages: impl Iterator<Item = String>) -> Vec<&'static str> {
    let script: Vec<Record> = [line(Side::Client, "ask".to_owned())].into_iter().chain(replies).collect();
    let mut check = script::check(&script, &Settings::default());
    check.request(&script[0], Duration::ZERO, false);
    assert_eq!(check.next(Duration::ZERO), NextStep::Send);
    check.sent(Duration::ZERO);
    script[1..].iter().for_each(|reply| check.reply(reply).unwrap());
    check.end();
    messages.for_each(|message| check.received(message.as_bytes(), b"", Duration::ZERO));
    kinds_at_the_end(check, Duration::ZERO)
}

/// The kinds of the entries when nothing more happens.
fn kinds_at_the_end(mut check: Check, mut now: Duration) -> Vec<&'static str> {
    while let NextStep::WaitUntil(until) = check.next(now) {
        now = until;
    }
    check.entries.iter().map(Entry::kind_name).collect()
}

#[test]
fn each_reply_of_a_huge_block_that_differs_has_an_entry() {
    let reply = |number| line(Side::Server, format!("set?name=a{number}&value=old"));
    let messages = (0..3_000).map(|number| format!("set?name=a{number}&value=new"));
    let kinds = kinds_of_block((0..3_000).map(reply).collect(), messages);
    assert_eq!(kinds, ["differs"; 3_000]);
}

#[test]
fn huge_block_without_its_first_reply_has_one_entry() {
    // All following messages are kept for the alignment: more than 10,000.
    let reply = |number| line(Side::Server, format!("set?name=a{number}"));
    let messages = (1..12_000).map(|number| format!("set?name=a{number}"));
    assert_eq!(kinds_of_block((0..12_000).map(reply).collect(), messages), ["no-reply"]);
}

#[test]
fn many_patterns_are_compared_with_many_messages() {
    // Each pattern matches one message; the messages are in reverse order.
    const COUNT: usize = 2_200;
    let pattern = |number| Record { is_pattern: true, ..line(Side::Server, format!("set?name=a{number}&value=int:*")) };
    let messages = (0..COUNT).rev().map(|number| format!("set?name=a{number}&value=int:1"));
    let kinds = kinds_of_block((0..COUNT).map(pattern).collect(), messages);
    assert_eq!(kinds, ["out-of-order"; COUNT - 1]);
}

/// The kinds of the entries if a reply arrives before its request, and a number of other messages after it.
fn kinds_after_unmatched(count: usize) -> Vec<&'static str> {
    let script = [(Side::Client, "ask"), (Side::Server, "first"), (Side::Client, "more"), (Side::Server, "second")];
    let script = script.map(|(side, text)| line(side, text.to_owned()));
    let (mut check, second) = (script::check(&script, &Settings::default()), Duration::from_secs(1));
    check.request(&script[0], Duration::ZERO, false);
    check.sent(Duration::ZERO);
    check.reply(&script[1]).unwrap();
    check.request(&script[2], second, false);
    let messages = ["first", "second"].into_iter().chain(std::iter::repeat_n("other", count));
    messages.for_each(|message| check.received(message.as_bytes(), b"", Duration::ZERO));
    assert_eq!(check.next(second), NextStep::Send);
    check.sent(second);
    check.reply(&script[3]).unwrap();
    check.end();
    kinds_at_the_end(check, second)
}

#[test]
fn unmatched_messages_beyond_ten_thousand_drop_the_oldest() {
    assert_eq!(kinds_after_unmatched(9_999), [""; 0]);
    assert_eq!(kinds_after_unmatched(10_000), ["no-reply"]);
}

#[test]
fn many_unanswered_blocks_are_compared_with_many_messages() {
    const BLOCKS: usize = 60;
    let mut script = Vec::new();
    for block in 0..BLOCKS {
        script.push(line(Side::Client, format!("ask?n={block}")));
        script.push(line(Side::Server, format!("reply?n={block}")));
    }
    let mut check = script::check(&script, &Settings::default());
    let mut now = Duration::ZERO;
    for records in script.chunks(2) {
        check.request(&records[0], now, false);
        while let NextStep::WaitUntil(until) = check.next(now) {
            now = until;
        }
        check.sent(now);
        check.reply(&records[1]).unwrap();
        (0..500).for_each(|other| check.received(format!("other?n={other}").as_bytes(), b"", now));
    }
    check.end();
    assert_eq!(kinds_at_the_end(check, now), ["no-reply"; BLOCKS]);
}

mod update {
    //! Tests of `--update` without files: after an update, a second check of the same replies passes.

    use super::script::{MUTATIONS, Mutation, mutate, play, scene};
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
            let edits = edits(&outcome.check.entries, Side::Server);
            let mut updated = Vec::new();
            apply(&file[..], &edits, &mut updated).unwrap();
            let clean = edits.is_empty();
            let fail = |what: &str| {
                Err(format!("{mutation:?} of {at}: {what}\n{}\n{}", scene.shown(), updated.escape_ascii()))
            };
            if clean != outcome.check.entries.is_empty() || clean != (updated == file) {
                return fail("a difference and no change, or the reverse");
            }
            let comments = |file: &[u8]| file.windows(14).filter(|bytes| *bytes == b"# a comment\r\n\n").count();
            if comments(&file) != comments(&updated) {
                return fail("a comment is gone");
            }
            let again = play(&read(&updated), &scene.events, &scene.settings);
            match again.check.entries.first() {
                None => Ok(()),
                Some(entry) => fail(&format!("still {}", entry.kind_name())),
            }
        });
    }
}
