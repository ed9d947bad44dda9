//! The options that several subcommands have. Each is written once, here; a subcommand lists those that it takes and
//! reads them with the struct beside them.

use std::time::Duration;

use crate::bcp::ParseOptions;
use crate::bcp::pattern::Pattern;
use crate::bcp::payload_marker;
use crate::bcp::template::Template;
use crate::cli::{Flag, Given, Group, HELP, VERSION, duration, number, text};
use crate::exit::Failure;
use crate::framing::{FramingOptions, Wire};
use crate::limits::{LINE_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::output::show::{Show, Style};
use crate::output::{Color, Console, stdout_is_terminal};
use crate::text::shown;

pub const QUIET: Flag = Flag::switch("quiet", "Print no notes or summaries").short('q').common();

pub const COLOR: Flag =
    Flag::value("color", "WHEN", "Color the output").one_of(&["auto", "always", "never"]).default("auto");

/// `-v`: whether the traffic is shown.
pub const VERBOSE: Flag = Flag::switch("verbose", "Show the traffic on standard error").short('v').common();

/// The last group of the filters, and of the live subcommands.
pub const GENERAL: Group = Group::new("General").flags(&[QUIET, COLOR, HELP, VERSION]);
pub const LIVE_GENERAL: Group = Group::new("General").flags(&[VERBOSE, QUIET, COLOR, HELP, VERSION]);

/// Whether notes are printed, and in which colors.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// `-q`: no notes and no summaries.
    pub quiet: bool,
    /// `--color`.
    pub color: Color,
}

impl OutputOptions {
    pub fn read(given: &Given) -> OutputOptions {
        let color = match given.word("color") {
            Some("always") => Color::Always,
            Some("never") => Color::Never,
            _ => Color::Auto,
        };
        OutputOptions { quiet: given.has("quiet"), color }
    }

    /// The console that these options ask for, of the subcommand of this name.
    pub fn console(&self, subcommand: &'static str) -> Console {
        Console::new(subcommand, self.quiet, self.color)
    }
}

pub const WIRE: Flag =
    Flag::value("wire", "PROTOCOL", "Use the protocol *PROTOCOL*").one_of(&Wire::NAMES).default("bcp");

/// What OBE_Socket has no use for is refused with it.
pub const OBE: &[&str] = &["wire=obe"];

/// The protocol of `--wire`.
pub fn wire(given: &Given) -> Wire {
    given.word("wire").and_then(|name| Wire::named(name.as_bytes())).unwrap_or_default()
}

pub const KEEP_CASE: Flag = Flag::switch("keep-case", "Keep the case of commands and names");
pub const NO_NAN: Flag = Flag::switch("no-nan", "Reject NaN and the infinities");
pub const FAIL_FAST: Flag = Flag::switch("fail-fast", "Stop at the first malformed line").common();
pub const MAX_LINE: Flag = Flag::value("max-line", "BYTES", "Reject lines longer than *BYTES*").default("1048576");
pub const MAX_PAYLOAD: Flag =
    Flag::value("max-payload", "BYTES", "Reject payloads larger than *BYTES*").default("16777216");

/// How messages are read.
#[derive(Clone, Debug)]
pub struct Input {
    /// `--keep-case` and `--no-nan`.
    pub reading: ParseOptions,
    /// `--fail-fast`: the first malformed line ends the run.
    pub fail_fast: bool,
    /// `--max-line`, in bytes.
    pub line_bytes_max: usize,
    /// `--max-payload`, in bytes.
    pub payload_bytes_max: usize,
}

impl Input {
    /// # Errors
    /// [`Failure::Usage`] for what is no number.
    pub fn read(given: &Given) -> Result<Input, Failure> {
        let reading = ParseOptions { keep_case: given.has("keep-case"), no_nan: given.has("no-nan") };
        Ok(Input {
            reading,
            fail_fast: given.has("fail-fast"),
            line_bytes_max: given.value("max-line", number)?.unwrap_or(LINE_BYTES_MAX),
            payload_bytes_max: given.value("max-payload", number)?.unwrap_or(PAYLOAD_BYTES_MAX),
        })
    }

    /// The framing of this wire; the limits are those of BCP.
    pub fn framing(&self, wire: Wire) -> FramingOptions {
        let Input { line_bytes_max, payload_bytes_max, .. } = *self;
        match wire {
            Wire::Bcp => FramingOptions { line_bytes_max, payload_bytes_max, ..FramingOptions::default() },
            Wire::Obe => FramingOptions::obe(),
        }
    }
}

pub const MATCH: Flag =
    Flag::value("match", "PATTERN", "Print only messages that match *PATTERN*").short('m').repeats().common();
pub const EXCLUDE: Flag =
    Flag::value("exclude", "PATTERN", "Leave out messages that match *PATTERN*").short('x').repeats();

pub const FORMAT: Flag =
    Flag::value("format", "TEMPLATE", "Print one line a message from *TEMPLATE*").short('F').common();

/// Which messages are shown, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `-m`, as typed: whether a pattern's command becomes lower case is known when all options are read.
    pub matching: Vec<String>,
    /// `-x`, as typed.
    pub excluded: Vec<String>,
    /// `-F`.
    pub template: Option<Template>,
}

impl Selection {
    /// # Errors
    /// [`Failure::Usage`] for what is no text or no template; `parse` reads a template.
    pub fn read(given: &Given, parse: impl Fn(&str) -> Result<Template, String>) -> Result<Selection, Failure> {
        Ok(Selection {
            matching: given.values("match", text)?,
            excluded: given.values("exclude", text)?,
            template: given.value("format", |value| parse(&text(value)?))?,
        })
    }

    /// What prints the messages: as `-F` says, or else in this style.
    ///
    /// # Errors
    /// As for [`patterns`], and a template with `{@json}` for OBE_Socket.
    pub fn show(&self, wire: Wire, keep_case: bool, style: Style) -> Result<Show, Failure> {
        let style = match &self.template {
            Some(template) if wire == Wire::Obe && template.shows_json() => {
                let why = "{@json} is the JSON form of BCP's messages, and OBE_Socket's are JSON: {@line} is the text";
                return Err(Failure::Usage(format!("-F with --wire obe: {why}")));
            }
            Some(template) => Style::Template(template.clone()),
            None if wire == Wire::Obe => Style::Template(Template::line()),
            None => style,
        };
        let matching = patterns(wire, "-m", &self.matching, keep_case)?;
        Ok(Show::new(style, matching, patterns(wire, "-x", &self.excluded, keep_case)?))
    }

    /// The patterns as typed.
    pub fn typed(&self) -> impl Iterator<Item = &String> {
        self.matching.iter().chain(&self.excluded)
    }
}

/// Reads the patterns of one option as this wire has them.
///
/// # Errors
/// [`Failure::Usage`] that shows the option and the pattern.
pub fn patterns(wire: Wire, flag: &str, texts: &[String], keep_case: bool) -> Result<Vec<Pattern>, Failure> {
    let read = |text: &String| {
        // `COMMAND&bytes=N` has no ? either: it ends in the marker of a payload, which is no parameter.
        let lacks_mark = text.contains('=') && !text.contains('?') && payload_marker(text.as_bytes()).is_none();
        if wire == Wire::Bcp && lacks_mark {
            let shown = shown(text.as_bytes());
            return Err(Failure::Usage(format!("{flag}: {shown}: no ? after the command; write COMMAND?NAME=TEXT")));
        }
        let pattern = match wire {
            Wire::Bcp => Pattern::parse(text, keep_case),
            Wire::Obe => Pattern::parse_value(text),
        };
        pattern.map_err(|error| {
            let why = error.to_string();
            let advice = if why.contains("; write ") { "" } else { "; a pattern is written COMMAND?NAME=TEXT" };
            Failure::Usage(format!("{flag}: {why}{advice}"))
        })
    };
    texts.iter().map(read).collect()
}

pub const JSON: Flag = Flag::switch("json", "Print messages as JSON Lines").common();
pub const META: Flag = Flag::switch("meta", "Add time, connection and sender to the JSON");

/// `-a`; each subcommand adds its default.
pub const ADDR: Flag = Flag::value("addr", "ADDRESS", "Connect to *ADDRESS*").short('a').common();
pub const RETRY: Flag = Flag::value("retry", "DURATION", "Retry the connection for up to *DURATION*").common();

/// The duration of [`RETRY`], by default zero.
///
/// # Errors
/// [`Failure::Usage`] for what is no duration.
pub fn retry_time(given: &Given) -> Result<Duration, Failure> {
    Ok(given.value("retry", duration)?.unwrap_or_default())
}

pub const VIEW: Flag = Flag::value("view", "VIEW", "Print messages as *VIEW*")
    .one_of(&["table", "raw"])
    .default("`table` on a terminal")
    .common();

/// Whether the messages of a live connection are printed as a table.
pub fn wants_table(given: &Given) -> bool {
    given.word("view").map_or_else(stdout_is_terminal, |view| view == "table")
}
