//! A message written as arguments: `COMMAND [NAME=STRING | NAME:=JSON]…` (`backbox-encode`(1)).

use std::path::Path;

use crate::bcp::{
    DuplicatePolicy, JsonError, JsonFault, JsonValue, Malformed, MalformedReason, Message, ParseOptions,
    canonical_json, is_command, line_command, push_spaced_json, push_string, typed_text,
};
use crate::catalogue;
use crate::cli::suggest;
use crate::exit::Failure;
use crate::output::Console;
use crate::text::{shown, trim};

/// Reads a message from arguments into `message`; returns notes about what looks like a mistake.
///
/// # Errors
/// [`Failure::Usage`] that names the argument and says what to write.
pub fn read_message(words: &[String], reading: &ParseOptions, message: &mut Message) -> Result<Vec<String>, Failure> {
    let (command, arguments) = match words {
        [command, arguments @ ..] => (command, arguments),
        [] => return Err(no_command()),
    };
    let trimmed = trim(command.as_bytes());
    if !is_command(trimmed) {
        return Err(if trimmed.is_empty() { no_command() } else { wrong_command(command) });
    }
    let folded = if reading.keep_case { trimmed.to_vec() } else { trimmed.to_ascii_lowercase() };
    message.begin(&folded);
    let mut notes = Vec::new();
    for argument in arguments {
        read_argument(argument, reading, message, &mut notes).map_err(Failure::Usage)?;
    }
    message.dedup(DuplicatePolicy::Reject).map_err(|error| Failure::Usage(error.to_string()))?;
    notes.extend(mistyped(&message.command()));
    Ok(notes)
}

/// Reads a message of OBE_Socket from arguments: the text of one JSON value, or an object with the command and the
/// parameters as they are given, as Python's encoder would write it.
///
/// # Errors
/// [`Failure::Usage`] that names the argument and says what to write.
pub fn read_value(words: &[String], nan: bool) -> Result<Vec<u8>, Failure> {
    let mut message = Message::new();
    let (command, arguments) = match words {
        [json] if message.parse_value(json.as_bytes(), nan).is_ok() => return Ok(trim(json.as_bytes()).to_vec()),
        [json] if json.starts_with(['{', '[', '"']) => {
            let why = message.parse_value(json.as_bytes(), nan).err().map(|error| error.to_string());
            return Err(Failure::Usage(format!("{}: {}", shown(json.as_bytes()), why.unwrap_or_default())));
        }
        [command, arguments @ ..] => (command, arguments),
        [] => return Err(no_command()),
    };
    message.begin(b"");
    let string = |text: &str| {
        let mut json = Vec::new();
        push_string(text.as_bytes(), &mut json);
        json
    };
    message.push_value("command", JsonValue(&string(command)));
    for argument in arguments {
        let (name, text) = split(argument).map_err(Failure::Usage)?;
        if let Some(name) = name.strip_suffix(':') {
            let json = canonical_json(text.as_bytes(), nan);
            let json = json.map_err(|error| Failure::Usage(wrong_json(name, text, &error.reason)))?;
            message.push_value(name, JsonValue(&json));
        } else {
            message.push_value(name, JsonValue(&string(text)));
        }
    }
    message.dedup(DuplicatePolicy::Reject).map_err(|error| Failure::Usage(error.to_string()))?;
    let (mut json, mut text) = (Vec::new(), Vec::new());
    message.write_params(&mut json);
    push_spaced_json(&json, &mut text);
    Ok(text)
}

fn no_command() -> Failure {
    Failure::Usage("a command is missing: write COMMAND NAME=STRING".to_owned())
}

fn wrong_command(command: &str) -> Failure {
    let error = Malformed::message(command.as_bytes(), MalformedReason::Command);
    let advice = match command {
        line if line.contains('?') => {
            "; a whole line is the only argument of `backbox send`; else write COMMAND NAME=STRING"
        }
        json if json.starts_with('{') => "; JSON is read from standard input, a message a line",
        words if words.contains('=') => "; the command comes first, and each NAME=STRING is a separate argument",
        file if Path::new(file).is_file() => &format!("; read a file with < {}", shown(file.as_bytes())),
        _ => "",
    };
    Failure::Usage(format!("{error}{advice}"))
}

/// `NAME=STRING`, or `NAME:=JSON`, where the name keeps its `:`.
fn split(argument: &str) -> Result<(&str, &str), String> {
    argument.split_once('=').ok_or_else(|| {
        let word = shown(argument.as_bytes());
        match word.split_once(':') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => format!("{word}: write {name}={value}"),
            _ => format!("{word}: write name={word}, or NAME={word} for another parameter"),
        }
    })
}

fn read_argument(
    argument: &str,
    reading: &ParseOptions,
    message: &mut Message,
    notes: &mut Vec<String>,
) -> Result<(), String> {
    let (name, text) = split(argument)?;
    if let Some(name) = name.strip_suffix(':') {
        let pushed = message.push_json(name.as_bytes(), text.as_bytes(), reading);
        return pushed.map_err(|error| wrong_json(name, text, &MalformedReason::Json(error)));
    }
    if name.ends_with(' ') && text.starts_with(' ') {
        let (name, text) = (shown(name.trim().as_bytes()), shown(text.as_bytes()));
        notes.push(format!("the string \"{text}\" begins with a space; {name}={} has none", text.trim()));
    }
    notes.extend(typed_text(text).map(|json| typed_note(name, text, &json)));
    message.push_text(name.as_bytes(), text.as_bytes(), reading.keep_case);
    Ok(())
}

fn wrong_json(name: &str, json: &str, reason: &MalformedReason) -> String {
    let (name, text) = (shown(name.as_bytes()), shown(json.as_bytes()));
    match reason {
        MalformedReason::Json(JsonError { fault: JsonFault::NotFinite, .. }) => {
            format!("{name}:={text} is no finite number, which --no-nan asks for")
        }
        MalformedReason::Json(error) => format!("{name}:={text} is {error}; {name}={text} is the string"),
        _ => format!("{name}:={text} is not JSON; {name}={text} is the string"),
    }
}

fn typed_note(name: &str, text: &str, json: &str) -> String {
    let kind = match json {
        "null" => "null",
        "true" | "false" => "the boolean",
        _ => "the number",
    };
    let (name, text, json) = (shown(name.as_bytes()), shown(text.as_bytes()), shown(json.as_bytes()));
    format!("{name}={text} is the string \"{text}\"; for {kind} write {name}:={json}")
}

/// A note about a command that is not in the catalogue but is near one that is, or is the name of a file. The command
/// is sent all the same, because BCP is open.
fn mistyped(command: &str) -> Option<String> {
    near(command).or_else(|| {
        let is_file = !catalogue::knows(command) && Path::new(command).is_file();
        let command = shown(command.as_bytes());
        is_file.then(|| {
            format!("{command} is treated as a command, but a file has this name; read a file with < {command}")
        })
    })
}

/// A note about a `category` or `subcommand` that MPF does not know, with the nearest word or all of them.
pub fn unknown_choice(message: &Message) -> Option<String> {
    let (parameter, value, known) = catalogue::unknown_choice(message)?;
    let advice = match suggest(&value, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("MPF knows {}", known.join(", ")),
    };
    Some(format!("unknown {parameter} {}: {advice}", shown(value.as_bytes())))
}

/// The same for a line.
pub(crate) fn unknown_word(line: &[u8]) -> Option<String> {
    // Few lines can have one, and the others need not be parsed.
    if !matches!(line.first(), Some(b's' | b'S' | b'm' | b'M')) {
        return None;
    }
    let command = line_command(line);
    let mut candidates = ["service", "monitor_start", "monitor_stop"].into_iter();
    candidates.find(|candidate| command.eq_ignore_ascii_case(candidate))?;
    let mut message = Message::new();
    message.parse_line(line, &ParseOptions::default()).ok()?;
    unknown_choice(&message)
}

/// Notes each pattern whose unknown command is near a known one, before nothing matches it.
pub fn note_mistyped_patterns<'a>(patterns: impl IntoIterator<Item = &'a String>, console: &Console) {
    let commands = patterns.into_iter().map(|pattern| line_command(pattern.as_bytes()).to_ascii_lowercase());
    let commands = commands.filter(|command| !command.contains('*'));
    commands.filter_map(|command| near(&command)).for_each(|note| console.warn(note));
}

/// A note with the known command that an unknown one is near to.
fn near(command: &str) -> Option<String> {
    if catalogue::knows(command) {
        return None;
    }
    let known = suggest(command, catalogue::command_names())?;
    let command = shown(command.as_bytes());
    (known != command).then(|| format!("unknown command {command}; did you mean {known}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<(String, Vec<String>), String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut message = Message::new();
        let notes = read_message(&words, &ParseOptions::default(), &mut message)
            .map_err(|failure| failure.message().unwrap_or_default().to_string())?;
        let mut out = Vec::new();
        message.write_json(None, &mut out);
        Ok((String::from_utf8(out).unwrap(), notes))
    }

    #[test]
    fn text_and_json_in_the_order_given() {
        let (json, notes) = read(&[" Trigger ", "Name=a b:=c", "n:=5", "l:= [1, 2] ", "e="]).unwrap();
        assert_eq!(json, r#"{"command":"trigger","params":{"name":"a b:=c","n":5,"l":[1,2],"e":""}}"#);
        assert!(notes.is_empty());
    }

    #[test]
    fn each_mistake_says_what_to_write() {
        for (words, complaint) in [
            (&["trigger", "multiball"][..], "multiball: write name=multiball, or NAME=multiball for another parameter"),
            (&["trigger", "name:multiball"], "name:multiball: write name=multiball"),
            (&["trigger", ":x"], ":x: write name=:x, or NAME=:x for another parameter"),
            (&["trigger", "a:"], "a:: write name=a:, or NAME=a: for another parameter"),
            (&["t", "foo:=bar"], "foo:=bar is not JSON at byte 1: unexpected bar; foo=bar is the string"),
            (&["t", "a=1", "A:=2"], "a: given twice"),
            (&[""], "a command is missing: write COMMAND NAME=STRING"),
            (&[], "a command is missing: write COMMAND NAME=STRING"),
        ] {
            assert_eq!(read(words), Err(complaint.to_string()), "{words:?}");
        }
        assert!(read(&["t?a=1"]).unwrap_err().contains("backbox send"));
        assert!(
            read(&["{\"command\":\"reset\"}"])
                .unwrap_err()
                .ends_with("JSON is read from standard input, a message a line")
        );
        for words in [["trigger name=x"], ["name=x"]] {
            let advice = "; the command comes first, and each NAME=STRING is a separate argument";
            assert!(read(&words).unwrap_err().ends_with(advice));
        }
        assert!(read(&["src/lib.rs"]).unwrap_err().ends_with("; read a file with < src/lib.rs"));
    }

    #[test]
    fn a_value_is_written_as_python_dumps_it_with_names_as_given() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            read_value(&words, true).map(|text| String::from_utf8(text).unwrap())
        };
        let refused = |words: &[&str]| read(words).unwrap_err().message().unwrap_or_default().to_string();
        let seed = r#"{"command": "goodset", "pickiness": 4}"#;
        assert_eq!(read(&["goodset", "pickiness:=4"]).unwrap(), seed);
        let odd = r#"{"command": " Go On ", " A ": "int:1", "a": [1, {"\u00e9": null}]}"#;
        assert_eq!(read(&[" Go On ", " A =int:1", "a:=[1,{\"é\":null}]"]).unwrap(), odd);
        for json in ["\"OK\"", " [1,  2] ", "5", "NaN", seed] {
            assert_eq!(read(&[json]).unwrap(), json.trim());
        }
        assert_eq!(refused(&["t", "a=1", "a:=2"]), "a: given twice");
        assert_eq!(refused(&["t", "command=x"]), "command: given twice");
        assert!(refused(&["{\"a\":}"]).starts_with("{\"a\":}: not JSON at byte 6"));
        assert!(refused(&["t", "a:=x"]).ends_with("a=x is the string"));
    }

    #[test]
    fn spaces_around_the_equals_sign_are_noted() {
        let (json, notes) = read(&["trigger", "name = x"]).unwrap();
        assert_eq!(json, r#"{"command":"trigger","params":{"name":" x"}}"#);
        assert_eq!(notes, ["the string \" x\" begins with a space; name=x has none"]);
    }

    #[test]
    fn a_text_that_looks_typed_stays_text_and_is_noted() {
        let (json, notes) = read(&["t", "state=int:1", "on=bool:TRUE"]).unwrap();
        assert_eq!(json, r#"{"command":"t","params":{"state":"int:1","on":"bool:TRUE"}}"#);
        assert_eq!(
            notes,
            [
                "state=int:1 is the string \"int:1\"; for the number write state:=1",
                "on=bool:TRUE is the string \"bool:TRUE\"; for the boolean write on:=true",
            ]
        );
    }

    #[test]
    fn unknown_category_or_subcommand_gets_the_nearest_word() {
        for (line, warning) in [
            ("monitor_start?category=mode", Some("unknown category mode: did you mean modes?")),
            ("Service?subcommand=list_coil", Some("unknown subcommand list_coil: did you mean list_coils?")),
            ("monitor_stop?category=x", Some("unknown category x: MPF knows ")),
            ("monitor_start?category=MODES", None),
            ("monitor_start", None),
            ("service?subcommand=start", None),
            ("trigger?category=mode", None),
        ] {
            let seen = unknown_word(line.as_bytes());
            assert!(seen.as_deref().unwrap_or("").starts_with(warning.unwrap_or("")), "{line}: {seen:?}");
            assert_eq!(seen.is_some(), warning.is_some(), "{line}: {seen:?}");
        }
    }

    #[test]
    fn a_mistyped_command_is_noted_and_another_is_not() {
        let note = mistyped("trgger").unwrap_or_default();
        assert_eq!(note, "unknown command trgger; did you mean trigger?");
        let note = mistyped("Cargo.toml").unwrap_or_default();
        assert!(note.ends_with("read a file with < Cargo.toml"), "{note}");
        for command in ["trigger", "reset", "timer", "my_own_command"] {
            assert_eq!(mistyped(command), None, "{command}");
        }
    }
}
