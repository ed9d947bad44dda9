//! A recorded reply of OBE_Socket compared with the one that came: whole, numbers by value, members by name
//! (design.md, section 11).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::compare::{Difference, Said};
use super::report::{Came, Entry, Kind, Recorded, Way};
use crate::bcp::Value;
use crate::bcp::pattern::Pattern;
use crate::bcp::{Message, to_text, to_value};

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// This came, on one line.
    Came(&'a [u8]),
    /// Nothing came in so long a time.
    Silence(Duration),
    /// The server went without replying.
    Gone(Way),
}

/// Compares a reply with the recorded one, or with a pattern that stands for it; what differs, if anything does.
///
/// # Errors
/// What is wrong with the pattern.
///
/// ```
/// use backbox::check::{Recorded, Reply, compare_values};
/// let line = br#"{"a": 1, "b": [2]}"#.to_vec();
/// let recorded = Recorded { number: 3, line, payload: Vec::new(), is_pattern: false };
/// assert!(compare_values(&recorded, Reply::Came(br#"{"b":[2.0],"a":1}"#)).unwrap().is_none());
/// assert!(compare_values(&recorded, Reply::Came(b"[2]")).unwrap().is_some());
/// ```
pub fn compare_values(recorded: &Recorded, reply: Reply<'_>) -> Result<Option<Entry>, String> {
    let kind = match reply {
        Reply::Came(line) if recorded.is_pattern => match is_met(recorded, line)? {
            true => return Ok(None),
            false => Kind::Differs(vec![difference("@value", None, value(line).as_ref())]),
        },
        Reply::Came(line) => match differences(&recorded.line, line) {
            none if none.is_empty() => return Ok(None),
            differences => Kind::Differs(differences),
        },
        Reply::Silence(waited) => Kind::NoAnswer { waited, silent: true },
        Reply::Gone(way) => Kind::Gone { way, count: 1 },
    };
    let came = |line: &[u8]| {
        let said = Said { line: line.to_vec(), payload: Vec::new(), key: Vec::new() };
        Came { number: 0, at: Duration::ZERO, said, told: false }
    };
    let came = if let Reply::Came(line) = reply { Some(came(line)) } else { None };
    Ok(Some(Entry { recorded: Some(recorded.clone()), came, ..Entry::new(kind) }))
}

/// Reads the pattern that stands for a reply.
///
/// # Errors
/// What is wrong with it.
pub fn value_pattern(recorded: &Recorded) -> Result<Pattern, String> {
    let text = std::str::from_utf8(&recorded.line).map_err(|_| "the pattern is no UTF-8".to_owned())?;
    Pattern::parse_value(text.trim()).map_err(|why| why.to_string())
}

fn is_met(recorded: &Recorded, line: &[u8]) -> Result<bool, String> {
    let pattern = value_pattern(recorded)?;
    let mut parts = Message::new();
    let is_json = parts.read_value(line, true).is_ok();
    parts.take_command();
    Ok(is_json && pattern.matches(&parts, None))
}

/// What differs: the members of two objects, or else the whole value.
fn differences(recorded: &[u8], came: &[u8]) -> Vec<Difference> {
    match (value(recorded), value(came)) {
        (Some(recorded), Some(came)) if same(&recorded, &came) => Vec::new(),
        (Some(Value::Object(recorded)), Some(Value::Object(came))) => members(&recorded, &came),
        (Some(recorded), Some(came)) => vec![difference("@value", Some(&recorded), Some(&came))],
        // What is no JSON is compared as it stands.
        _ if recorded == came => Vec::new(),
        _ => vec![difference("@line", None, None)],
    }
}

fn same(recorded: &Value, came: &Value) -> bool {
    recorded.clone().untyped_meaning() == came.clone().untyped_meaning()
}

fn value(line: &[u8]) -> Option<Value> {
    let mut parts = Message::new();
    parts.read_value(line, true).ok().map(|()| to_value(parts.object()))
}

/// The members that differ, in the order of the recording and then of what came; of one name the last counts.
fn members(recorded: &[(String, Value)], came: &[(String, Value)]) -> Vec<Difference> {
    let (ours, theirs) = (by_name(recorded), by_name(came));
    // An object of 64 MiB has millions of names: they are looked up by hash.
    let mut seen = HashSet::new();
    let names = recorded.iter().chain(came).map(|(name, _)| name.as_str()).filter(|name| seen.insert(*name));
    let compared = names.map(|name| (name, ours.get(name).copied(), theirs.get(name).copied()));
    let differ = compared.filter(|(_, ours, theirs)| !matches!((ours, theirs), (Some(a), Some(b)) if same(a, b)));
    differ.map(|(name, ours, theirs)| difference(name, ours, theirs)).collect()
}

fn by_name(members: &[(String, Value)]) -> HashMap<&str, &Value> {
    members.iter().map(|(name, value)| (name.as_str(), value)).collect()
}

fn difference(name: &str, expected: Option<&Value>, got: Option<&Value>) -> Difference {
    let spelled = |value: &Value| {
        let mut text = Vec::new();
        to_text(value, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    Difference { name: name.to_owned(), expected: expected.map(spelled), got: got.map(spelled) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Text, headline};

    fn found(recorded: &str, is_pattern: bool, came: &str) -> Option<Entry> {
        let recorded = Recorded { number: 7, line: recorded.into(), payload: Vec::new(), is_pattern };
        compare_values(&recorded, Reply::Came(came.as_bytes())).unwrap()
    }

    #[test]
    fn numbers_by_value_and_members_by_name() {
        for (recorded, came) in [
            ("1", "1.0"),
            ("[1e2, NaN]", "[100,NaN]"),
            ("{\"a\": 1, \"b\": {\"x\": -0}}", "{\"b\":{\"x\":0.0},\"a\":1}"),
            ("\"\\u00e9\"", "\"é\""),
            ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
            ("no json", "no json"),
        ] {
            assert!(found(recorded, false, came).is_none(), "{recorded} {came}");
        }
        for (recorded, came, names) in [
            ("1", "1.5", "@value"),
            ("1", "true", "@value"),
            ("[1,2]", "[2,1]", "@value"),
            ("{\"a\":1,\"b\":2}", "{\"a\":2,\"c\":3}", "a, b, c"),
            ("\"a\"", "oops", "@line"),
        ] {
            assert_eq!(headline(&found(recorded, false, came).unwrap()), format!("differs in {names}"));
        }
    }

    #[test]
    fn many_members_that_differ_are_each_named_once_and_looked_up_by_hash() {
        // Compared pairwise, these take minutes.
        let object = |value: u8| {
            let members: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":{value}")).collect();
            format!("{{\"0\":9,{}}}", members.join(","))
        };
        let Kind::Differs(found) = found(&object(1), false, &object(2)).unwrap().kind else { panic!() };
        assert_eq!((found.len(), found.last().unwrap().name.as_str()), (200_000, "199999"));
        assert_eq!((found[0].expected.as_deref(), found[0].got.as_deref()), (Some("1"), Some("2")));
    }

    #[test]
    fn a_pattern_stands_for_what_matches_it() {
        for (pattern, came, is_met) in [
            ("*?x=int:*", "{\"x\": 5}", true),
            ("*?x=int:*", "{\"x\": 5.5}", false),
            ("[1]", "[1.0]", true),
            ("*", "oops", false),
            ("Done", "{\"command\":\"done\"}", false),
        ] {
            assert_eq!(found(pattern, true, came).is_none(), is_met, "{pattern} {came}");
        }
    }

    #[test]
    fn a_difference_is_shown_with_its_place() {
        let mut text = String::new();
        let entry = found("{\"a\":1}", false, "{\"a\":2}").unwrap();
        Text { file: "f", colored: false }.write(&entry, &mut text);
        let expected = "f:7: differs in a\n  recorded  {\"a\":1}\n  came      {\"a\":2}\n  a: recorded 1, came 2\n";
        assert_eq!(text, expected);
    }
}
