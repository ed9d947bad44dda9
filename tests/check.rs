//! `replay --check` without sockets: the scripts of `tests/data/check.jsonl` with their reports, and the law that one
//! mutation is one difference (design.md, section 11).

mod common;

use std::time::Duration;

use backbox::bcp::Side;
use backbox::check::{self, Check, Entry, Kind, Rules, Want, Way};
use backbox::commands::replay::clock::Speed;
use backbox::session::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::cases;
use common::checking::{Settings, What, When, play, record};
use common::random::for_each_case;
use common::scene::{MUTATIONS, Scene, mutate, scene};
use serde_json::{Value, json};

#[test]
fn the_scripts() {
    let all = cases("check.jsonl");
    assert_eq!(all.len(), 148);
    let wrong: Vec<String> = all.iter().filter_map(|case| script(case).err()).collect();
    assert!(wrong.is_empty(), "{} scripts differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn script(case: &Value) -> Result<(), String> {
    let settings = settings(&case["settings"]);
    let script: Vec<Record> = case["script"].as_array().unwrap().iter().map(recorded).collect();
    let events: Vec<(When, What)> = case["events"].as_array().unwrap().iter().map(event).collect();
    let outcome = play(&script, &events, &settings);
    let entries = outcome.check.entries();
    let report: Vec<Value> = entries.iter().map(entry).collect();
    let lines: Vec<Value> = entries
        .iter()
        .map(|entry| entry.came.as_ref().map_or(Value::Null, |came| json!(outcome.lines[came.number as usize])))
        .collect();
    let exit = i32::from(!entries.is_empty() || outcome.check.compared() == 0);
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
        speed: if value["speed"] == "max" { Some(Speed::Max) } else { value["speed"].as_f64().map(Speed::Times) },
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
        (Value::Null, Some("closed")) => What::Goes(Way::Closed),
        (Value::Null, Some("reset")) => What::Goes(Way::Reset),
        (line, payload) => {
            What::Comes(bytes(line), payload.map(|text| STANDARD.decode(text).unwrap()).unwrap_or_default())
        }
    };
    (when, what)
}

/// An entry of the report as the scripts write it.
fn entry(entry: &Entry) -> Value {
    let index = entry.recorded.as_ref().map(|recorded| recorded.number - 1);
    let names: Vec<&str> = match &entry.kind {
        Kind::Differs(differences) => differences.iter().map(|difference| difference.name.as_str()).collect(),
        _ => Vec::new(),
    };
    match entry.kind {
        Kind::Gone { count, .. } => json!(["gone", index, names, count]),
        ref kind => json!([kind.name(), index, names]),
    }
}

/// How many random scripts the law is held to.
const CASES: u64 = 6_000;

#[test]
fn one_mutation_is_one_difference() {
    for_each_case(CASES, |random| {
        let mut scene = scene(random);
        let report = |scene: &Scene| -> Vec<String> {
            let outcome = play(&scene.script, &scene.events, &scene.settings);
            outcome.check.entries().iter().map(|shown| entry(shown).to_string()).collect()
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

/// A check of all that there is, of a recording whose last answer stands there.
fn check_up_to(last_answer: Option<u64>) -> Check {
    Check::new(check::Options {
        rules: Rules::default(),
        exact: false,
        reply_timeout: Duration::from_secs(1),
        fail_fast: false,
        last_goodbye: None,
        last_answer,
    })
}

#[test]
fn a_huge_block_that_is_all_different_has_an_entry_for_each() {
    const COUNT: u64 = 3_000;
    let mut check = check_up_to(None);
    check.ours(&record(1, None, Side::Client, b"ask", None), Duration::ZERO, false);
    assert_eq!(check.want(Duration::ZERO), Want::Send);
    check.sent(Duration::ZERO);
    for number in 0..COUNT {
        let line = format!("set?name=a{number}&value=old");
        check.answer(&record(number + 2, None, Side::Server, line.as_bytes(), None)).unwrap();
    }
    check.end();
    for number in 0..COUNT {
        check.heard(format!("set?name=a{number}&value=new").as_bytes(), b"", Duration::ZERO);
    }
    while let Want::Wait(until) = check.want(Duration::from_secs(1)) {
        check.want(until);
    }
    assert_eq!(check.entries().len() as u64, COUNT);
    assert!(check.entries().iter().all(|entry| entry.kind.name() == "differs"));
}

#[test]
fn behind_the_last_answer_nothing_that_comes_is_kept() {
    let mut check = check_up_to(Some(2));
    check.ours(&record(1, None, Side::Client, b"ask", None), Duration::ZERO, false);
    check.sent(Duration::ZERO);
    check.answer(&record(2, None, Side::Server, b"answer", None)).unwrap();
    check.ours(&record(3, None, Side::Client, b"more", None), Duration::ZERO, false);
    // The answer is given up, and our next line leaves.
    let later = Duration::from_secs(5);
    assert_eq!(check.want(later), Want::Send);
    check.sent(later);
    check.ours(&record(4, None, Side::Client, b"last", None), Duration::from_secs(60), false);
    for _ in 0..10_000 {
        check.heard(b"unasked?for=1", b"", later);
    }
    // All that it keeps shows when it is printed.
    assert!(format!("{check:?}").len() < 4_000, "it keeps what came");
    check.heard(b"answer", b"", later);
    assert_eq!(check.entries().len(), 1);
    assert_eq!(check.entries()[0].kind.name(), "late");
}
