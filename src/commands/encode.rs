//! `backbox encode`: arguments or JSON Lines into BCP, or into OBE_Socket's frames.

use std::path::Path;

use crate::bcp::{Malformed, MalformedReason, Message, ParseOptions, WriteOptions, escape, write_line};
use crate::catalogue;
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, path};
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, Framer, Wire, push_frame};
use crate::limits::{OBE_BODY_BYTES_MAX, json_line_bytes_max};
use crate::text::trim;

use super::arguments::{read_message, read_value};
use super::input::{Filter, Source, Strings};
use super::shared::{
    FAIL_FAST, GENERAL, Input, KEEP_CASE, MAX_LINE, MAX_PAYLOAD, NO_NAN, OBE, OutputOptions, WIRE, wire,
};

const NO_MESSAGES: &str = "-s writes no messages";

pub const COMMAND: Command = Command {
    help: Help {
        name: "encode",
        summary: "turn arguments or JSON Lines into BCP",
        synopsis: &[
            "[*OPTION*]... *COMMAND* [*NAME*=*STRING* | *NAME*:=*JSON*]...",
            "[*OPTION*]... [`-i` *FILE*]",
            "[*OPTION*]... `-s` [*STRING*]...",
        ],
        prose: concat!(include_str!("help/encode.md"), include_str!("help/options.md")),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io],
        see_also: &[("backbox", 1), ("backbox-decode", 1), ("bcp", 7), ("obe-socket", 7)],
    },
    groups: &[
        Group::new("Input").flags(&[
            Flag::value("input", "FILE", "Read JSON Lines, or strings, from *FILE*")
                .short('i')
                .default("standard input")
                .complete(Complete::File)
                .common(),
            Flag::value("bytes", "FILE", "Append the bytes of *FILE* as the payload")
                .short('b')
                .complete(Complete::File)
                .common(),
            Flag::switch("string", "Escape bare strings instead of messages").short('s').common(),
            Flag::switch("null", "Read strings that end in NUL instead of LF or CR LF").short('0'),
            WIRE,
            FAIL_FAST,
            MAX_LINE,
            MAX_PAYLOAD,
        ]),
        Group::new("Form").flags(&[
            KEEP_CASE,
            Flag::switch("sort-keys", "Sort parameters by name, nested ones too"),
            Flag::switch("compact", "Omit the spaces after `,` and `:` in the JSON form"),
            Flag::switch("no-ensure-ascii", "Leave text beyond ASCII unescaped in the JSON form"),
            NO_NAN,
        ]),
        GENERAL,
    ],
    rules: &[
        Rule::conflicts(&["input"], &["COMMAND"], "the input is either FILE or the arguments"),
        Rule::conflicts(&["string"], &["bytes", "max-payload", "keep-case", "sort-keys", "compact"], NO_MESSAGES),
        Rule::conflicts(&["string"], &["no-ensure-ascii", "no-nan"], NO_MESSAGES),
        Rule::conflicts(&["bytes", "string"], OBE, "OBE_Socket has no payloads and no escapes"),
        Rule::needs(&["bytes"], &["COMMAND"], "in JSON Lines a payload is \"bytes\", in base64"),
        Rule::needs(&["null"], &["string"], "it sets how bare strings end on input"),
        Rule::conflicts(&["fail-fast"], &["COMMAND"], "it stops reading an input, and the arguments are none"),
        Rule::conflicts(&["max-line", "max-payload"], OBE, "an OBE_Socket message has up to 64 MiB"),
        Rule::needs(&["max-payload"], &["bytes", "input", "-"], "without a payload there is nothing to limit"),
        Rule::conflicts(&["keep-case", "sort-keys", "compact", "no-ensure-ascii"], OBE, "its text is not changed"),
    ],
    words: Some(Complete::Keyed(catalogue::completions)),
    run,
};

/// Runs `backbox encode`.
///
/// # Errors
/// What ends the run at once; a malformed line does not.
fn run(given: &Given) -> Result<Exit, Failure> {
    let (input, words, file) = (Input::read(given)?, given.text_words()?, given.value("input", path)?);
    let mut filter = Filter::new(OutputOptions::read(given).console(COMMAND.help.name), input.fail_fast);
    if file.is_some() && !words.is_empty() {
        return Err(Failure::Usage("-i FILE is the input, and - would be standard input: leave out one".to_owned()));
    }
    let source = file.unwrap_or_else(|| "-".into());
    if given.has("string") {
        let end_in = if given.has("null") { 0 } else { b'\n' };
        let strings = Strings { convert: escape_string, end_in, end_out: b'\n', bytes_max: input.line_bytes_max };
        let outcome = strings.run(&words, &source, &mut filter);
        return filter.finish(outcome);
    }
    let mut encoder = Encoder::new(given, &input);
    let outcome = match words.split_first() {
        Some((dash, rest)) if dash == "-" && !rest.is_empty() => {
            Err(Failure::Usage("- reads messages from standard input, so there can be no NAME=STRING".to_owned()))
        }
        Some((word, _)) if word != "-" => {
            encoder.arguments(&words, given.value("bytes", path)?.as_deref(), &mut filter)
        }
        _ => encoder.lines(&source, &mut filter),
    };
    filter.finish(outcome)
}

fn escape_string(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    std::str::from_utf8(text).map_err(|_| Malformed::message(text, MalformedReason::NotUtf8))?;
    escape(text, out);
    Ok(())
}

/// Encodes messages one after the other.
struct Encoder {
    wire: Wire,
    reading: ParseOptions,
    writing: WriteOptions,
    is_sorted: bool,
    payload_bytes_max: usize,
    message: Message,
}

impl Encoder {
    fn new(given: &Given, input: &Input) -> Encoder {
        let (compact, ensure_ascii) = (given.has("compact"), !given.has("no-ensure-ascii"));
        Encoder {
            wire: wire(given),
            reading: input.reading,
            writing: WriteOptions { compact, ensure_ascii, line_bytes_max: input.line_bytes_max },
            is_sorted: given.has("sort-keys"),
            payload_bytes_max: input.payload_bytes_max,
            message: Message::new(),
        }
    }

    /// Encodes the arguments as one message.
    fn arguments(&mut self, words: &[String], payload: Option<&Path>, filter: &mut Filter) -> Result<(), Failure> {
        if self.wire == Wire::Obe {
            push_frame(&read_value(words, !self.reading.no_nan)?, filter.output.buffer());
            return filter.output.flush();
        }
        let notes = read_message(words, &self.reading, &mut self.message)?;
        let payload = payload.map(|path| Source::payload(path, self.payload_bytes_max)).transpose()?;
        self.push_message(payload.as_deref(), filter.output.buffer())
            .map_err(|error| Failure::Refused(error.to_string()))?;
        notes.iter().for_each(|note| filter.console.note(note));
        filter.output.flush()
    }

    /// Encodes each line of an input.
    fn lines(&mut self, source: &Path, filter: &mut Filter) -> Result<(), Failure> {
        let mut framer = Framer::bare_lines(b'\n', self.line_bytes_max());
        let source = filter.open(source)?;
        filter.feed(source, &mut framer, |line, out| self.line(line, out).map(|()| true)).map(|_| ())
    }

    fn line(&mut self, line: Frame<'_>, out: &mut Vec<u8>) -> Result<(), (u64, String)> {
        let (number, text) = line.bare_line().map_err(|number| (number, self.too_long()))?;
        if text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return Ok(());
        }
        let encoded = match self.wire {
            Wire::Bcp => self
                .message
                .parse_json(text, &self.reading, self.payload_bytes_max)
                .and_then(|payload| self.push_message(payload.as_deref(), out))
                .map_err(|error| format!("{error}{}", advice(number, text))),
            Wire::Obe => self.push_obe(trim(text), out).map_err(|error| error.to_string()),
        };
        encoded.map_err(|reason| (number, reason))
    }

    /// Appends a message's line, its LF and its payload.
    fn push_message(&mut self, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.is_sorted {
            self.message.sort_names();
        }
        write_line(&self.message, payload.map(<[u8]>::len), &self.writing, out)?;
        out.push(b'\n');
        out.extend_from_slice(payload.unwrap_or_default());
        Ok(())
    }

    /// Appends the frame of a JSON text, which is only read to see that it is one.
    fn push_obe(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.message.parse_value(text, !self.reading.no_nan)?;
        self.message.release_large_buffers();
        push_frame(text, out);
        Ok(())
    }

    /// The longest line of input, in bytes.
    fn line_bytes_max(&self) -> usize {
        match self.wire {
            Wire::Bcp => json_line_bytes_max(self.writing.line_bytes_max, self.payload_bytes_max),
            Wire::Obe => OBE_BODY_BYTES_MAX,
        }
    }

    fn too_long(&self) -> String {
        let advice = match self.wire {
            Wire::Bcp => "--max-line and --max-payload allow more",
            Wire::Obe => "decode refuses a longer one",
        };
        format!("the line is longer than {} bytes; {advice}", self.line_bytes_max())
    }
}

/// What to do about an input whose first line is not a message in JSON.
fn advice(number: u64, text: &[u8]) -> &'static str {
    match trim(text) {
        _ if number != 1 => "",
        b"{" | b"[" => "; a message has to be one line: jq -c . makes it one",
        [b'{', ..] => "",
        [b'[', ..] => "; each message has to be a line of its own: jq -c '.[]' makes lines of a list",
        _ => "; encode reads messages as JSON, one a line; decode reads BCP",
    }
}
