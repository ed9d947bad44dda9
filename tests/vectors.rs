//! The test vectors of `tests/data`: hand-written cases for any implementation of BCP.
//!
//! `cli.jsonl` contains complete runs. Each other file contains messages or lines, which are the input of one run of a
//! filter.

mod common;

use base64::Engine as _;
use common::{Outcome, Workdir, backbox, backbox_in, cases};
use serde_json::Value;

#[test]
fn every_command_line_case_prints_what_is_expected() {
    let all = cases("cli.jsonl");
    assert!(all.len() > 300, "only {} cases", all.len());
    let differences: Vec<String> = all.iter().filter_map(difference).collect();
    assert!(differences.is_empty(), "{} cases differ:\n{}", differences.len(), differences.join("\n"));
}

/// The differences from the expected result of a case.
fn difference(case: &Value) -> Option<String> {
    let folder = Workdir::new();
    for (name, text) in case["files"].as_object().into_iter().flatten() {
        folder.write(name, text.as_str().unwrap());
    }
    for (name, text) in case["files_b64"].as_object().into_iter().flatten() {
        folder.write(name, from_base64(text));
    }
    let args = case["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let outcome = backbox_in(&folder, args, bytes(case, "stdin").unwrap());
    let wrong = wrong(case, &outcome);
    let name = case["name"].as_str().unwrap();
    (!wrong.is_empty()).then(|| format!("{name} {}: {}", case["args"], wrong.join("; ")))
}

fn wrong(case: &Value, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    match bytes(case, "stdout") {
        Some(expected) if expected != outcome.stdout => {
            wrong.push(format!("prints {stdout:?}, not {:?}", String::from_utf8_lossy(&expected)));
        }
        _ => wrong.extend(missing(case, "stdout_has", &stdout)),
    }
    wrong.extend(missing(case, "stderr_has", &outcome.stderr));
    let exit = case["exit"].as_i64().unwrap();
    if outcome.code.map(i64::from) != Some(exit) {
        wrong.push(format!("exit {:?}, not {exit}: {}", outcome.code, outcome.stderr));
    }
    if exit == 0 && case["stderr_has"].is_null() && !outcome.stderr.is_empty() {
        wrong.push(format!("reports {}", outcome.stderr));
    }
    // An exit status other than 0 must be explained on standard error.
    if exit != 0 && outcome.stderr.is_empty() {
        wrong.push("reports nothing".to_owned());
    }
    wrong
}

fn missing(case: &Value, key: &str, text: &str) -> Vec<String> {
    let wanted = case[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap());
    wanted.filter(|wanted| !text.contains(wanted)).map(|wanted| format!("{key} {wanted:?}, got {text:?}")).collect()
}

fn bytes(case: &Value, key: &str) -> Option<Vec<u8>> {
    let encoded = case.get(format!("{key}_b64")).map(from_base64);
    encoded.or_else(|| case[key].as_str().map(|text| text.as_bytes().to_vec()))
}

fn from_base64(text: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
}

#[test]
fn each_message_is_encoded_as_its_line() {
    let cases = cases("roundtrip.jsonl");
    let input: String = cases.iter().map(|case| format!("{}\n", case["message"])).collect();
    let outcome = backbox(["encode"], input);
    outcome.exits(0).reports_nothing();
    let lines: Vec<&str> = outcome.text().lines().collect();
    assert_eq!(lines.len(), cases.len());
    for (case, line) in cases.iter().zip(lines) {
        assert_eq!(case["line"], line, "{}", case["message"]);
    }
}

#[test]
fn each_line_is_decoded_as_expected() {
    check_decoded(&cases("roundtrip.jsonl"), 400);
}

#[test]
fn every_dialect_is_decoded() {
    check_decoded(&cases("dialects.jsonl"), 62);
}

#[track_caller]
fn check_decoded(cases: &[Value], count: usize) {
    assert_eq!(cases.len(), count);
    let input: String = cases.iter().map(|case| format!("{}\n", case["line"].as_str().unwrap())).collect();
    let outcome = backbox(["decode"], input);
    outcome.exits(0).reports_nothing();
    let lines: Vec<&str> = outcome.text().lines().collect();
    assert_eq!(lines.len(), count);
    for (case, line) in cases.iter().zip(lines) {
        let decoded: Value = serde_json::from_str(line).unwrap();
        assert!(same(&decoded, &case["decoded"]), "{}\n   got {line}\nwanted {}", case["line"], case["decoded"]);
    }
}

/// Whether two values are equal, numbers by value and type, members in the same order.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(&a.to_string(), &b.to_string()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a == b && same(x, y))
        }
        (a, b) => a == b,
    }
}

fn same_number(a: &str, b: &str) -> bool {
    let is_integer = |digits: &str| !digits.contains(['.', 'e', 'E']);
    match (is_integer(a), is_integer(b)) {
        (true, true) => a == b || (a.trim_start_matches('-') == "0" && b.trim_start_matches('-') == "0"),
        (false, false) => a.parse::<f64>().unwrap() == b.parse::<f64>().unwrap(),
        _ => false,
    }
}

#[test]
fn every_malformed_line_is_reported_and_the_others_are_decoded() {
    let cases = cases("rejected.jsonl");
    assert_eq!(cases.len(), 65);
    let good = |count: usize| format!("good?count=int:{count}\n");
    let input: String =
        (0..cases.len()).map(|n| cases[n]["line"].as_str().unwrap().to_owned() + "\n" + &good(n)).collect();
    let outcome = backbox(["decode", "-F", "{@line}"], input);
    outcome.exits(1).prints(&(0..cases.len()).map(good).collect::<String>());
    let complaints: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(complaints.len(), cases.len(), "{}", outcome.stderr);
    for (count, (case, complaint)) in cases.iter().zip(complaints).enumerate() {
        let reason = complaint.strip_prefix(&format!("<stdin>:{}: ", 2 * count + 1));
        assert!(reason.is_some_and(|reason| reason.len() > 10), "{}: {complaint}", case["line"]);
    }
}

#[test]
fn malformed_line_alone_is_exit_1() {
    for case in cases("rejected.jsonl") {
        let outcome = backbox(["decode"], format!("{}\n", case["line"].as_str().unwrap()));
        outcome.exits(1).prints("").reports(&["<stdin>:1: "]);
    }
}
