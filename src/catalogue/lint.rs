//! What `decode --lint` finds in a line: what would stop MPF, and what some peer misreads (design.md, section 6).
//!
//! The first is the guard's business, and what a whole file tells of MPF's state besides. The second is a list of
//! traps, each met in a peer of `bcp`(7); what `encode` writes steps into none of them.

use std::fmt;

use super::guard::{Effect, judge};
use super::json::{self, Json};
use super::value::decode;
use super::{Taken, find};
use crate::bcp::{Malformed, Message, ValueKind};
use crate::text::{shown, trim};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The line would end a peer.
    Stop,
    /// Some peer would read something else, or nothing.
    Trap,
}

/// One thing that is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Stop => "stop",
            Severity::Trap => "trap",
        };
        write!(f, "{severity}: {}", self.text)
    }
}

/// Events of MPF's own that a trigger had better not post: what else each comes with, and when MPF misses it.
const OWN_EVENTS: &[(&str, &[&str], &str)] = &[
    ("ball_started", &["ball", "player"], "once anyone monitors core_events"),
    ("player_added", &["num", "player"], "once anyone monitors core_events"),
    ("player_turn_started", &["number", "player"], "once anyone monitors core_events"),
    ("machine_reset_phase_1", &["queue"], "at once"),
    ("shutdown", &[""], "as it asks for"),
    ("quit", &[""], "as it asks for"),
];

/// The linter of one input, which remembers what the input has done to MPF's state so far.
#[derive(Debug, Default)]
pub struct Linter {
    /// Whether the last `service` of the input started service mode.
    in_service: bool,
    findings: Vec<Finding>,
}

impl Linter {
    /// A linter at the start of an input.
    pub fn new() -> Linter {
        Linter::default()
    }

    /// What is wrong with one message: its line without LF and CR, the same up to its payload marker, its payload, and
    /// what our own reader made of it.
    pub fn lint(
        &mut self,
        line: &[u8],
        text: &[u8],
        payload: Option<&[u8]>,
        parsed: Result<&Message, &Malformed>,
    ) -> &[Finding] {
        self.findings.clear();
        let refusal = judge(line, payload).err();
        if let Some(refusal) = &refusal {
            let severity = if refusal.effect == Effect::Ends { Severity::Stop } else { Severity::Trap };
            self.findings.push(Finding { severity, text: refusal.to_string() });
        }
        match parsed {
            Ok(parts) if refusal.is_none() => {
                self.state(parts);
                self.missing(parts);
            }
            Ok(_) => {}
            Err(malformed) if refusal.is_none() => {
                self.trap(format!("backbox and strict peers drop the line: {malformed}"));
            }
            Err(_) => {}
        }
        if let Ok(text) = std::str::from_utf8(text) {
            self.traps(text);
        }
        &self.findings
    }

    fn trap(&mut self, text: String) {
        self.findings.push(Finding { severity: Severity::Trap, text });
    }

    /// What a media controller cannot do without: several raise an exception that nobody catches.
    fn missing(&mut self, parts: &Message) {
        let command = parts.command();
        let entry = find(&command).filter(|entry| entry.taken == Taken::No);
        let required = entry.into_iter().flat_map(|entry| entry.parameters).filter(|parameter| parameter.required);
        for parameter in required.filter(|parameter| parts.find(parameter.name).is_none()) {
            let name = parameter.name;
            let text = format!("{command} needs {name}, without which media controllers may stop; write {name}=...");
            self.findings.push(Finding { severity: Severity::Stop, text });
        }
    }

    /// What ends MPF in one state and not in another.
    fn state(&mut self, parts: &Message) {
        let text =
            |name: &str| parts.find(name).filter(|value| value.kind() == ValueKind::Text).map(|value| value.text());
        let (name, subcommand) = (text("name"), text("subcommand"));
        let reason = match (&*parts.command(), name.as_deref(), subcommand.as_deref()) {
            ("trigger", Some(name), _) => OWN_EVENTS
                .iter()
                .find(|(event, with, _)| *event == name && with.iter().any(|other| parts.find(other).is_none()))
                .map(|(event, _, when)| format!("would end MPF 0.81 {when}: {event} is an event of its own")),
            ("service", _, Some("start")) => std::mem::replace(&mut self.in_service, true)
                .then(|| "would end MPF 0.81: service mode was started above; stop it first".to_string()),
            ("service", _, Some("stop")) => (!std::mem::take(&mut self.in_service))
                .then(|| "would end MPF 0.81 unless it is in service mode: nothing above starts it".to_string()),
            _ => None,
        };
        let stop = reason.map(|text| Finding { severity: Severity::Stop, text });
        self.findings.extend(stop);
    }

    /// What some peer misreads, in the order of the line.
    fn traps(&mut self, text: &str) {
        let (command, query) = text.split_once('?').unwrap_or((text, ""));
        self.everywhere(text);
        if command.bytes().any(|b| b.is_ascii_uppercase()) && self.findings.is_empty() {
            let command = shown(command.as_bytes());
            self.trap(format!("capitals in the command {command}: they count for MPF since 0.52, and for no other"));
        }
        match query.split_at_checked(5) {
            Some((name, json)) if name.eq_ignore_ascii_case("json=") => self.in_json(name, json),
            _ => self.in_query(query),
        }
    }

    /// Bytes that are at risk wherever they stand.
    fn everywhere(&mut self, text: &str) {
        if let Some(at) = text.find('#') {
            let left = shown(text.get(..at).unwrap_or_default().as_bytes());
            self.trap(format!("a raw #: MPF 0.30 to 0.51 reads no further than {left}, and stops on JSON with one"));
        }
        if text.chars().any(|c| c.is_ascii_control()) {
            self.trap("a raw control character: MPF drops TAB, and others at the start of the line".to_string());
        }
        if !text.is_ascii() {
            self.trap("characters beyond ASCII as they are: C# launchers read a ? for each byte".to_string());
        }
    }

    fn in_json(&mut self, name: &str, json: &str) {
        if name != "json=" {
            self.trap(format!("{name} in capitals: MPF knows json= in lower case only, and reads one text"));
        }
        // Escaped JSON is read by others than MPF, which the guard has said.
        if !json.trim_start().starts_with('{') {
            return;
        }
        for (mark, peers) in [
            ('&', "unity-bcp-server and VisualPinball.Engine split there"),
            ('=', "unity-bcp-server splits there"),
            ('?', "godot-bcp-server cuts the line there, VisualPinball.Engine splits"),
            ('%', "mpf-monitor unescapes it, and MPF 0.30 to 0.51 stops on it"),
            ('+', "peers that unescape JSON read a space"),
            (';', "MPF on older Pythons splits there"),
        ] {
            if json.contains(mark) {
                self.trap(format!("a raw {mark} in JSON: {peers}; write \\u{:04x}", u32::from(mark)));
            }
        }
        let Ok(Json::Object(members)) = json::read(json, true) else { return };
        self.twice(members.iter().map(|(name, _)| name.as_str()), "peers differ in which one counts");
    }

    /// Names that stand there a second time, once each.
    fn twice<'n>(&mut self, names: impl Iterator<Item = &'n str>, who: &str) {
        let mut seen = std::collections::HashMap::new();
        for name in names {
            let name = String::from_utf8_lossy(trim(name.as_bytes())).to_ascii_lowercase();
            let count = seen.entry(name.clone()).or_insert(0usize);
            *count += 1;
            if *count == 2 {
                self.trap(format!("{} is given twice: {who}", called(&name)));
            }
        }
    }

    fn in_query(&mut self, query: &str) {
        if query.contains('?') {
            let rest = "godot-bcp-server reads no further, and VisualPinball.Engine splits there";
            self.trap(format!("a second ?: {rest}; in a value write json={{…}} with \\u003f"));
        }
        if query.contains(';') {
            self.trap("a raw ;: MPF on older Pythons splits there; write %3B".to_string());
        }
        let mut names = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (raw_name, raw) = match piece.split_once('=') {
                Some((name, value)) => (name, value),
                None => {
                    let name = called(piece);
                    self.trap(format!("{name} has no =: GMC and VisualPinball.Engine drop the line; write {name}="));
                    (piece, "")
                }
            };
            let name = decode(raw_name);
            self.in_name(raw_name, &name);
            self.in_value(&called(&name), raw);
            names.push(name);
        }
        self.twice(names.iter().map(AsRef::as_ref), "MPF takes the first, Node media controllers the last");
    }

    fn in_name(&mut self, raw: &str, name: &str) {
        let shown_name = called(name);
        if raw.contains(['%', '+']) {
            self.trap(format!("the name {shown_name} is escaped: GMC reads {}; write json={{…}}", called(raw)));
        }
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            self.trap(format!("capitals in the name {shown_name}: they count for MPF since 0.52, and for no other"));
        }
        if name.trim() != name {
            self.trap(format!("blanks around the name {shown_name}: they count for MPF"));
        }
        if name.eq_ignore_ascii_case("json") || name.eq_ignore_ascii_case("bytes") {
            self.trap(format!("a parameter named {shown_name}: peers take it for the whole message or a payload"));
        }
    }

    /// The value of a plain parameter.
    fn in_value(&mut self, name: &str, raw: &str) {
        let value = decode(raw);
        if raw.contains('+') {
            self.trap(format!("a raw + in {name}: a space to MPF, a + to GMC; write %20 or %2B"));
        }
        match Prefix::of(&value) {
            Prefix::Typed => {
                if raw.contains('%') {
                    let read = shown(raw.as_bytes());
                    self.trap(format!("{name} is a typed value with escapes: GMC does not undo them in {read}"));
                }
                if value.starts_with("bool:") && value != "bool:True" && value != "bool:False" {
                    self.trap(format!("{name}: GMC takes {value} as false; write bool:True or bool:False"));
                }
                return;
            }
            Prefix::Alike => {
                let value = shown(value.as_bytes());
                self.trap(format!("{name} is the text {value}: unity-bcp-server takes it for a typed value"));
            }
            Prefix::None if raw.contains(':') => {
                self.trap(format!("a raw : in {name}: GMC drops the parameter; write %3A"));
            }
            Prefix::None => {}
        }
        if let Some(mark) = value.chars().find(|c| matches!(c, '&' | '=' | '%')) {
            self.separator(name, mark, &value);
        } else if value.contains('?') && !raw.contains('?') {
            self.separator(name, '?', &value);
        }
    }

    fn separator(&mut self, name: &str, mark: char, value: &str) {
        let before = shown(value.split(mark).next().unwrap_or_default().as_bytes());
        let again = decode(value);
        if mark == '%' && again != value {
            let again = shown(again.as_bytes());
            let instead = "write json={…} with \\u0025";
            self.trap(format!("{name} is unescaped twice by MPF, which reads {again}; {instead}"));
            return;
        }
        let who = match mark {
            '%' => "MPF and unity-bcp-server may unescape it again".to_string(),
            _ => format!("unity-bcp-server unescapes before it splits, and reads \"{before}\""),
        };
        self.trap(format!("{mark} in {name}: {who}; write json={{…}} with \\u{:04x}", u32::from(mark)));
    }
}

/// What the beginning of a decoded value says about its type.
enum Prefix {
    /// It is no string.
    Typed,
    /// It is one, and looks otherwise.
    Alike,
    /// It is one.
    None,
}

impl Prefix {
    fn of(value: &str) -> Prefix {
        let lower = value.get(..value.len().min(14)).unwrap_or_default().to_ascii_lowercase();
        let typed = value.starts_with("int:")
            || value.starts_with("float:")
            || value == "NoneType:"
            || matches!(lower.as_str(), "bool:true" | "bool:false");
        if typed {
            return Prefix::Typed;
        }
        let alike = ["int:", "float:", "bool:", "nonetype:"]
            .iter()
            .any(|prefix| value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
        if alike { Prefix::Alike } else { Prefix::None }
    }
}

/// A name as a finding says it.
fn called(name: &str) -> String {
    if name.is_empty() { "\"\"".to_string() } else { shown(name.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn lint(linter: &mut Linter, line: &str) -> Vec<String> {
        let mut parts = Message::new();
        let parsed = parts.parse_line(line.as_bytes(), &ParseOptions::default());
        let parsed = parsed.as_ref().map(|()| &parts);
        linter.lint(line.as_bytes(), line.as_bytes(), None, parsed).iter().map(Finding::to_string).collect()
    }

    #[track_caller]
    fn finds(line: &str, says: &str) {
        let found = lint(&mut Linter::new(), line);
        assert!(found.iter().any(|finding| finding.contains(says)), "{line}: {found:?}");
    }

    #[test]
    fn each_trap_is_found() {
        for (line, says) in [
            ("t?a=x%26y", "trap: & in a: unity-bcp-server unescapes before it splits, and reads \"x\""),
            ("t?a=x%3Dy", "trap: = in a"),
            ("t?a=x=y", "trap: = in a"),
            ("t?a=x%3Fy", "trap: ? in a"),
            ("t?a=100%2541", "MPF, which reads 100A"),
            ("t?a=50%25", "trap: % in a"),
            ("t?a=x?y", "trap: a second ?"),
            ("t?a=1&a=2", "trap: a is given twice: MPF takes the first"),
            ("t?a=1&A=2", "a is given twice"),
            ("t?a=x+y", "trap: a raw + in a"),
            ("t?a=INT:5", "trap: a is the text INT:5"),
            ("t?a=bool:maybe", "trap: a is the text bool:maybe"),
            ("t?a=NoneType:x", "trap: a is the text NoneType:x"),
            ("t?a=int%3A5", "trap: a is a typed value with escapes"),
            ("t?a=bool:true", "trap: a: GMC takes bool:true as false"),
            ("t?a=b:c", "trap: a raw : in a"),
            ("t?a", "trap: a has no ="),
            ("t?%61=1", "trap: the name a is escaped: GMC reads %61"),
            ("t?A=1", "trap: capitals in the name A"),
            ("t? a=1", "trap: blanks around the name"),
            ("T?a=1", "trap: capitals in the command T"),
            ("TRIGGER?name=a", "trap: would be lost on MPF 0.81"),
            ("t?a=1&json=x", "trap: a parameter named json"),
            ("t?bytes=4", "trap: would be misread by MPF 0.81"),
            ("t?a=é", "trap: characters beyond ASCII"),
            ("t?a=x#y", "trap: a raw #: MPF 0.30 to 0.51 reads no further than t?a=x"),
            ("t?a=x\ty", "trap: a raw control character"),
            ("t?a=x;y", "trap: a raw ;"),
            ("t?json={\"a\": \"x&y\"}", "trap: a raw & in JSON: unity-bcp-server and"),
            ("t?json={\"a\": \"x%y\"}", "trap: a raw % in JSON: mpf-monitor"),
            ("t?json={\"a\": 1, \"a\": 2}", "trap: a is given twice"),
            ("t?JSON={\"a\": 1}", "trap: JSON= in capitals"),
            ("t?json={\"a\": \"\\ud800\"}", "trap: backbox and strict peers drop the line"),
            ("mode_stop", "stop: mode_stop needs name"),
            ("t?a=int:x", "stop: would end MPF 0.81: a needs digits behind int:"),
            ("trigger?name=ball_started", "stop: would end MPF 0.81 once anyone monitors core_events"),
        ] {
            finds(line, says);
        }
    }

    #[test]
    fn an_event_of_mpfs_that_is_complete_is_none_of_our_business() {
        assert_eq!(lint(&mut Linter::new(), "trigger?name=ball_started&ball=int:1&player=int:1"), [""; 0]);
    }

    #[test]
    fn service_mode_is_started_and_stopped_in_turn() {
        let mut linter = Linter::new();
        let (start, stop) = ("service?subcommand=start", "service?subcommand=stop");
        assert!(lint(&mut linter, stop)[0].starts_with("stop: would end MPF 0.81 unless"));
        assert_eq!(lint(&mut linter, start), [""; 0]);
        assert!(lint(&mut linter, start)[0].starts_with("stop: would end MPF 0.81: service mode was started"));
        assert_eq!(lint(&mut linter, stop), [""; 0]);
    }
}
