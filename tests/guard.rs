//! The guard against what a running MPF 0.81 did: `guard.jsonl` has 332 inputs, each with whether it ended MPF.
//!
//! What ends it is refused; what it survives passes, but for the rules that section 13 of design.md names, and those
//! lines stand here, each under its rule.

mod common;

use backbox::catalogue::{Rule, judge};
use base64::Engine as _;
use common::cases;
use serde_json::Value;

/// What MPF survives and the guard refuses all the same, by rule. It is either lost in silence, or taken for something
/// else than it says.
const REFUSED_ALL_THE_SAME: &[(Rule, &[&str])] = &[
    (
        Rule::Command,
        &[
            // Never sent anyway: to backbox they are comments.
            "# comment\n",
            "#@0.000000\n",
            "#\n",
            "#<trigger?name=my_trigger\n",
            "# see //[1] for\n",
            "# foo?json=[1]\n",
            "//\n",
            "//x\n",
            "//[::1]\n",
            "//host/trigger?name=my_trigger\n",
            "x:trigger?name=my_trigger\n",
            "http://h/trigger?name=my_trigger\n",
            "=\n",
            "&&\n",
            ":\n",
            ";\n",
            "%74rigger?name=my_trigger\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:5051\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n\n",
            "x//[\n",
            "trigger:[\n",
        ],
    ),
    (Rule::Spelling, &["TRIGGER?name=my_trigger\n", "GOODBYE\n", "goodbye \n"]),
    // The first swallows what comes next; Python reads the other's 1_0 as 10, which nobody means.
    (Rule::Marker, &["#&bytes=4\n", "trigger?name=my_trigger&bytes=1_0\n0123456789"]),
];

/// What one case sends.
fn input(case: &Value) -> Vec<u8> {
    match case["line_b64"].as_str() {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => case["line"].as_str().unwrap().as_bytes().to_vec(),
    }
}

/// The first rule that an input breaks, cut into lines and payloads as MPF cuts it.
fn first_refusal(mut input: &[u8]) -> Option<Rule> {
    while !input.is_empty() {
        let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
        let line = &input[..end];
        input = input.get(end + 1..).unwrap_or_default();
        let payload = &input[..announced(line).min(input.len())];
        input = &input[payload.len()..];
        if let Err(refusal) = judge(line, Some(payload)) {
            return Some(refusal.rule);
        }
    }
    None
}

/// The payload that MPF expects behind a line, as far as it is a number.
fn announced(line: &[u8]) -> usize {
    let line = String::from_utf8_lossy(line);
    let digits = line.rsplit_once("&bytes=").map_or("", |(_, digits)| digits);
    digits.replace('_', "").parse().unwrap_or(0)
}

/// `send` ends each line, so that none is cut short as this one, which without its last character has no number.
const HALF_A_LINE: &str = "trigger?name=a&n=int:5";

#[test]
fn what_ends_mpf_is_refused_and_of_the_rest_only_what_the_design_names() {
    let cases = cases("guard.jsonl");
    assert_eq!(cases.len(), 332);
    let mut wrong = Vec::new();
    let mut listed = 0;
    for case in &cases {
        let input = input(case);
        let text = String::from_utf8_lossy(&input);
        let rule = first_refusal(&input);
        let named =
            REFUSED_ALL_THE_SAME.iter().find(|(_, lines)| lines.contains(&text.as_ref())).map(|(rule, _)| *rule);
        listed += usize::from(named.is_some());
        let right = match case["ends_mpf"].as_bool().unwrap() {
            true if text == HALF_A_LINE => rule.is_none(),
            true => rule.is_some() && named.is_none(),
            false => rule == named,
        };
        if !right {
            wrong.push(format!("{text:.80?} (ends MPF: {}): {rule:?}, listed under {named:?}", case["ends_mpf"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(listed, REFUSED_ALL_THE_SAME.iter().map(|(_, lines)| lines.len()).sum::<usize>(), "each stands there");
}
