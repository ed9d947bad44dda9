//! What `decode --lint` finds in one line: what would end a peer (`stop`), and what one misreads (`trap`).
//!
//! Each trap was met in a peer that bcp(7) lists. `encode` writes none of them. Nothing is remembered from line to
//! line.

use std::borrow::Cow;
use std::collections::HashMap;

use super::guard::{Harm, check_line};
use super::params::decode;
use super::table::Acceptance;
use super::{find, string};
use crate::bcp::{Message, ParseOptions, object_members, payload_marker};
use crate::text::{shown, trim};

/// Events of MPF's own, and when a trigger of that name ends it (it lacks what MPF passes along).
const OWN_EVENTS: [(&str, &str); 6] = [
    ("ball_started", "would end MPF 0.81 once a client monitors core_events"),
    ("player_added", "would end MPF 0.81 once a client monitors core_events"),
    ("player_turn_started", "would end MPF 0.81"),
    ("machine_reset_phase_1", "would end MPF 0.81"),
    ("shutdown", "stops MPF 0.81"),
    ("quit", "stops MPF 0.81"),
];

/// Characters that some peer takes for a separator in raw JSON, and what happens there.
const JSON_TRAPS: [(char, &str); 6] = [
    ('&', "unity-bcp-server and VisualPinball.Engine split there"),
    ('=', "unity-bcp-server splits there"),
    ('?', "godot-bcp-server cuts the line there, VisualPinball.Engine splits"),
    ('%', "mpf-monitor unescapes it, MPF 0.30 to 0.51 stops on it"),
    ('+', "peers that unescape JSON read a space"),
    (';', "MPF on older Pythons splits there"),
];

/// Lints one message: its line without LF and CR, and its payload. Each finding begins with `stop: ` or `trap: `.
pub(crate) fn lint(line: &[u8], payload: Option<&[u8]>, options: &ParseOptions) -> Vec<String> {
    let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
    let mut message = Message::new();
    let parsed = message.parse_line(text, options);
    let mut findings = Findings(Vec::new());
    match (check_line(line, payload), parsed) {
        (Err(refusal), _) if refusal.harm == Harm::EndsMpf => findings.stop(refusal),
        (Err(refusal), _) => findings.trap(refusal),
        (Ok(()), Ok(())) => findings.message(&message),
        (Ok(()), Err(malformed)) => findings.trap(format!("backbox and strict peers reject the line: {malformed}")),
    }
    if let Ok(text) = std::str::from_utf8(text) {
        findings.line(text);
    }
    findings.0
}

struct Findings(Vec<String>);

impl Findings {
    fn stop(&mut self, text: impl std::fmt::Display) {
        self.0.push(format!("stop: {text}"));
    }

    fn trap(&mut self, text: impl std::fmt::Display) {
        self.0.push(format!("trap: {text}"));
    }

    /// What the guard does not refuse: a missing parameter of a command that only media controllers receive, and
    /// triggers named after events of MPF's own.
    fn message(&mut self, message: &Message) {
        let command = message.command();
        let entry = find(&command).filter(|entry| entry.accepted == Acceptance::No);
        for parameter in entry.map_or(&[][..], |entry| entry.parameters) {
            let name = parameter.name;
            if parameter.required && message.find(name).is_none() {
                self.stop(format!("{command} needs {name}; media controllers may stop without it; write {name}=..."));
            }
        }
        let name = string(message, "name").filter(|_| command == "trigger");
        if let Some((event, effect)) = OWN_EVENTS.iter().find(|(event, _)| name.as_deref() == Some(event)) {
            self.stop(format!("{effect}: {event} is an event of its own; give the trigger another name"));
        }
    }

    /// What some peer misreads, in the order of the line.
    fn line(&mut self, text: &str) {
        if let Some((read, _)) = text.split_once('#') {
            let read = shown(read.as_bytes());
            self.trap(format!("a raw #: MPF 0.30 to 0.51 reads no further than {read}, and stops on JSON with one"));
        }
        if text.contains(|c: char| c.is_ascii_control()) {
            self.trap("a raw control character: MPF drops TAB, and others at the start of the line");
        }
        if !text.is_ascii() {
            self.trap("raw characters beyond ASCII: C# launchers read a ? for each byte");
        }
        let (command, query) = text.split_once('?').unwrap_or((text, ""));
        if command.bytes().any(|b| b.is_ascii_uppercase()) && self.0.is_empty() {
            let command = shown(command.as_bytes());
            self.trap(format!("capitals in the command {command}: their case counts for MPF since 0.52"));
        }
        match query.split_at_checked(5) {
            Some((name, json)) if name.eq_ignore_ascii_case("json=") => self.json(name, json),
            _ => self.query(query),
        }
    }

    fn json(&mut self, name: &str, json: &str) {
        if name != "json=" {
            self.trap(format!("{name} in capitals: MPF knows json= in lower case only, and reads one string"));
        }
        // The guard reports escaped JSON.
        if !json.trim_start().starts_with('{') {
            return;
        }
        for (mark, effect) in JSON_TRAPS {
            if json.contains(mark) {
                self.trap(format!("a raw {mark} in JSON: {effect}; write \\u{:04x}", u32::from(mark)));
            }
        }
        if let Ok(Some(members)) = object_members(json.as_bytes()) {
            self.duplicates(members.iter().map(|(name, _)| name.as_str()), "peers differ in which one counts");
        }
    }

    fn query(&mut self, query: &str) {
        if query.contains('?') {
            let effect = "godot-bcp-server reads no further, VisualPinball.Engine splits there";
            self.trap(format!("a second ?: {effect}; in a value write json={{…}} with \\u003f"));
        }
        if query.contains(';') {
            self.trap("a raw ;: MPF on older Pythons splits there; write %3B");
        }
        let mut names = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (raw_name, raw) = piece.split_once('=').unwrap_or_else(|| {
                let name = quoted(piece);
                self.trap(format!("{name} has no =: GMC and VisualPinball.Engine drop the line; write {name}="));
                (piece, "")
            });
            let name = decode(raw_name);
            self.name(raw_name, &name);
            self.value(&quoted(&name), raw);
            names.push(name);
        }
        self.duplicates(names.iter().map(AsRef::as_ref), "MPF reads the first, Node media controllers the last");
    }

    /// Reports each name that occurs more than once, to peers that fold case.
    fn duplicates<'n>(&mut self, names: impl Iterator<Item = &'n str>, effect: &str) {
        let mut counts = HashMap::new();
        for name in names {
            let name = String::from_utf8_lossy(trim(name.as_bytes())).to_ascii_lowercase();
            let count = counts.entry(name.clone()).or_insert(0_usize);
            *count += 1;
            if *count == 2 {
                self.trap(format!("{} is given twice: {effect}", quoted(&name)));
            }
        }
    }

    fn name(&mut self, raw: &str, name: &str) {
        let shown_name = quoted(name);
        if raw.contains(['%', '+']) {
            self.trap(format!("the name {shown_name} is escaped: GMC reads {}; write json={{…}}", quoted(raw)));
        }
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            self.trap(format!("capitals in the name {shown_name}: their case counts for MPF since 0.52"));
        }
        if name.trim() != name {
            self.trap(format!("spaces around the name {shown_name}: MPF keeps them"));
        }
        if name.eq_ignore_ascii_case("json") || name.eq_ignore_ascii_case("bytes") {
            self.trap(format!("a parameter named {shown_name}: peers read the whole message or a payload in it"));
        }
    }

    /// The value of a plain parameter.
    fn value(&mut self, name: &str, raw: &str) {
        let value = decode(raw);
        if raw.contains('+') {
            self.trap(format!("a raw + in {name}: a space to MPF, a + to GMC; write %20 or %2B"));
        }
        let has_prefix = ["int:", "float:", "bool:", "nonetype:"]
            .iter()
            .any(|prefix| value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
        if is_typed(&value) {
            if raw.contains('%') {
                let raw = shown(raw.as_bytes());
                self.trap(format!("{name} is a typed value with escapes: GMC does not decode them in {raw}"));
            }
            if value.starts_with("bool:") && value != "bool:True" && value != "bool:False" {
                self.trap(format!("{name}: GMC reads {value} as false; write bool:True or bool:False"));
            }
            return;
        }
        if has_prefix {
            let value = shown(value.as_bytes());
            self.trap(format!("{name} is the string {value}: unity-bcp-server reads it as a typed value"));
        } else if raw.contains(':') {
            self.trap(format!("a raw : in {name}: GMC drops the parameter; write %3A"));
        }
        // A raw question mark was reported for the whole query.
        let separator = |c: &char| matches!(c, '&' | '=' | '%') || (*c == '?' && !raw.contains('?'));
        if let Some(mark) = value.chars().find(separator) {
            self.separator(name, mark, &value);
        }
    }

    fn separator(&mut self, name: &str, mark: char, value: &str) {
        let again = decode(value);
        let effect = match mark {
            '%' if again != value => {
                format!("MPF decodes it twice and reads {}", shown(again.as_bytes()))
            }
            '%' => "MPF and unity-bcp-server may decode it again".to_string(),
            _ => {
                let read = value.split(mark).next().map(str::as_bytes).map(shown);
                format!("unity-bcp-server decodes before it splits, and reads \"{}\"", read.unwrap_or_default())
            }
        };
        self.trap(format!("{mark} in {name}: {effect}; write json={{…}} with \\u{:04x}", u32::from(mark)));
    }
}

/// Whether a decoded value is no string to MPF.
fn is_typed(value: &str) -> bool {
    let is_bool = ["bool:true", "bool:false"].iter().any(|word| value.eq_ignore_ascii_case(word));
    is_bool || value.starts_with("int:") || value.starts_with("float:") || value == "NoneType:"
}

/// A name as a finding shows it.
fn quoted(name: &str) -> Cow<'static, str> {
    if name.is_empty() { Cow::Borrowed("\"\"") } else { Cow::Owned(shown(name.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> Vec<String> {
        lint(line.as_bytes(), None, &ParseOptions::default())
    }

    #[test]
    fn each_trap_is_found() {
        for (line, expected) in [
            ("t?a=x%26y", "trap: & in a: unity-bcp-server decodes before it splits, and reads \"x\""),
            ("t?a=x%3Dy", "trap: = in a"),
            ("t?a=x=y", "trap: = in a"),
            ("t?a=x%3Fy", "trap: ? in a"),
            ("t?a=100%2541", "MPF decodes it twice and reads 100A"),
            ("t?a=50%25", "trap: % in a"),
            ("t?a=x?y", "trap: a second ?"),
            ("t?a=1&a=2", "trap: a is given twice: MPF reads the first"),
            ("t?a=1&A=2", "a is given twice"),
            ("t?a=x+y", "trap: a raw + in a"),
            ("t?a=INT:5", "trap: a is the string INT:5"),
            ("t?a=bool:maybe", "trap: a is the string bool:maybe"),
            ("t?a=NoneType:x", "trap: a is the string NoneType:x"),
            ("t?a=int%3A5", "trap: a is a typed value with escapes"),
            ("t?a=bool:true", "trap: a: GMC reads bool:true as false"),
            ("t?a=b:c", "trap: a raw : in a"),
            ("t?a", "trap: a has no ="),
            ("t?%61=1", "trap: the name a is escaped: GMC reads %61"),
            ("t?A=1", "trap: capitals in the name A"),
            ("t? a=1", "trap: spaces around the name"),
            ("T?a=1", "trap: capitals in the command T"),
            ("TRIGGER?name=a", "trap: would be ignored by MPF 0.81"),
            ("t?a=1&json=x", "trap: a parameter named json"),
            ("t?bytes=4", "trap: would be misread by MPF 0.81"),
            ("t?a=é", "trap: raw characters beyond ASCII"),
            ("t?a=x#y", "trap: a raw #: MPF 0.30 to 0.51 reads no further than t?a=x"),
            ("t?a=x\ty", "trap: a raw control character"),
            ("t?a=x;y", "trap: a raw ;"),
            ("t?json={\"a\": \"x&y\"}", "trap: a raw & in JSON: unity-bcp-server and"),
            ("t?json={\"a\": \"x%y\"}", "trap: a raw % in JSON: mpf-monitor"),
            ("t?json={\"a\": 1, \"a\": 2}", "trap: a is given twice"),
            ("t?JSON={\"a\": 1}", "trap: JSON= in capitals"),
            ("t?json={\"a\": \"\\ud800\"}", "trap: would be rejected by other peers"),
            ("t?a=int:\u{665}", "trap: would be rejected by other peers"),
            ("mode_stop", "stop: mode_stop needs name"),
            ("t?a=int:x", "stop: would end MPF 0.81: a needs digits after int:"),
            (
                "glf_monitor?json={\"name\": \"x\",\"changes\": [{\"key\": \"a\"},]}",
                "stop: would end MPF 0.81: json= is not JSON",
            ),
            ("dmd_frame?name=default", "stop: would end MPF 0.81: dmd_frame needs a payload"),
            ("trigger?name=ball_started", "stop: would end MPF 0.81 once a client monitors core_events"),
            ("trigger?name=quit", "stop: stops MPF 0.81: quit is an event of its own"),
        ] {
            let found = findings(line);
            assert!(found.iter().any(|finding| finding.contains(expected)), "{line}: {found:?}");
        }
    }

    #[test]
    fn nothing_is_found_in_what_every_peer_reads_alike() {
        for line in ["trigger?name=a", "service?subcommand=stop", "mode_start?name=a&priority=int:5", "status_request"]
        {
            assert_eq!(findings(line), [""; 0], "{line}");
        }
    }
}
