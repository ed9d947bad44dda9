//! The options that several subcommands have. Each is written once, here; a subcommand lists those that it takes.

use std::ffi::OsString;
use std::time::Duration;

use crate::bcp::pattern::Pattern;
use crate::bcp::payload_marker;
use crate::bcp::template::Template;
use crate::bcp::{Malformed, ParseOptions};
use crate::cli::{Flag, duration, number, push, set, text};
use crate::exit::Failure;
use crate::framing::{FramingOptions, Wire};
use crate::limits::{LINE_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::output::show::{Show, Style};
use crate::output::table::{EndNames, Table};
use crate::output::{Color, Console, stdout_columns, stdout_is_terminal};
use crate::text::shown;

/// Says where a subcommand's options have the parts that are shared, so that their options can be listed in its table:
/// `flatten!(Options { output: OutputOptions })`.
macro_rules! flatten {
    ($options:ty { $($($field:ident).+: $part:ty),+ $(,)? }) => {
        $(impl AsMut<$part> for $options {
            fn as_mut(&mut self) -> &mut $part {
                &mut self.$($field).+
            }
        })+
    };
}
pub(super) use flatten;

/// How much is said, and how it looks.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// `-q`: no notes and no summaries.
    pub quiet: bool,
    /// `--color`.
    pub color: Color,
}

impl OutputOptions {
    /// The console that these options ask for, of the subcommand of this name.
    pub fn console(&self, subcommand: &'static str) -> Console {
        Console::new(subcommand, self.quiet, self.color)
    }
}

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

impl Default for Input {
    fn default() -> Input {
        Input {
            reading: ParseOptions::default(),
            fail_fast: false,
            line_bytes_max: LINE_BYTES_MAX,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
        }
    }
}

impl Input {
    /// The framing with these limits.
    pub fn framing(&self) -> FramingOptions {
        FramingOptions {
            line_bytes_max: self.line_bytes_max,
            payload_bytes_max: self.payload_bytes_max,
            ..FramingOptions::default()
        }
    }
}

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
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`Failure::Usage`] that shows the pattern.
    pub fn patterns(&self, keep_case: bool) -> Result<(Vec<Pattern>, Vec<Pattern>), Failure> {
        Ok((patterns("-m", &self.matching, keep_case)?, patterns("-x", &self.excluded, keep_case)?))
    }

    /// What prints the messages of OBE_Socket.
    ///
    /// # Errors
    /// As for [`Selection::patterns`], and a template with `{@json}`.
    pub fn show_obe(&self) -> Result<Show, Failure> {
        if self.template.as_ref().is_some_and(Template::shows_json) {
            let why = "{@json} is the JSON form of BCP's messages, and OBE_Socket's are JSON: {@line} is the text";
            return Err(Failure::Usage(format!("-F with --wire obe: {why}")));
        }
        let [matching, excluded] =
            [("-m", &self.matching), ("-x", &self.excluded)].map(|(flag, texts)| patterns_on(Wire::Obe, flag, texts));
        Ok(Show::new(self.template.clone().map_or(Style::Line, Style::Template), matching?, excluded?))
    }
}

impl Selection {
    /// The patterns as typed.
    pub fn typed(&self) -> impl Iterator<Item = &String> {
        self.matching.iter().chain(&self.excluded)
    }
}

/// Reads the patterns of one option.
///
/// # Errors
/// [`Failure::Usage`] that shows the option and the pattern.
pub fn patterns(flag: &str, texts: &[String], keep_case: bool) -> Result<Vec<Pattern>, Failure> {
    // `COMMAND&bytes=N` has no ? either: it ends in the marker of a payload, which is no parameter.
    let lacks_mark =
        |text: &&String| text.contains('=') && !text.contains('?') && payload_marker(text.as_bytes()).is_none();
    if let Some(text) = texts.iter().find(lacks_mark) {
        let shown = shown(text.as_bytes());
        return Err(Failure::Usage(format!("{flag}: {shown}: no ? after the command; write COMMAND?NAME=TEXT")));
    }
    read_patterns(flag, texts, |text| Pattern::parse(text, keep_case))
}

/// Reads the patterns of one option as this wire has them.
///
/// # Errors
/// As for [`patterns`].
pub fn patterns_on(wire: Wire, flag: &str, texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    match wire {
        Wire::Bcp => patterns(flag, texts, false),
        Wire::Obe => read_patterns(flag, texts, Pattern::parse_value),
    }
}

fn read_patterns(
    flag: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<Pattern, Malformed>,
) -> Result<Vec<Pattern>, Failure> {
    let complaint =
        |error: Malformed| Failure::Usage(format!("{flag}: {error}; a pattern is written COMMAND?NAME=TEXT"));
    texts.iter().map(|text| parse(text).map_err(complaint)).collect()
}

/// An address as typed; it is parsed where it is used.
///
/// # Errors
/// A complaint about what is not text.
pub fn address(value: OsString) -> Result<String, String> {
    text(value)
}

/// How messages of a live connection are shown: [`Selection`], and JSON.
#[derive(Clone, Debug, Default)]
pub struct Display {
    /// `-m`, `-x` and `-F`.
    pub selection: Selection,
    /// `--json`.
    pub json: bool,
    /// `--meta`: the JSON has a member `meta`.
    pub meta: bool,
}

impl Display {
    /// What prints the messages; `marked` says whether a terminal is shown who sent each.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a pattern that does not parse.
    pub fn show(&self, wire: Wire, color: Color, marked: bool) -> Result<Show, Failure> {
        let style = match self.selection.template.clone() {
            _ if wire == Wire::Obe => return Ok(self.selection.show_obe()?.for_stdout(color, marked)),
            _ if self.json => Style::Json { meta: self.meta },
            Some(template) => Style::Template(template),
            None => Style::Raw,
        };
        let (matching, excluded) = self.selection.patterns(false)?;
        Ok(Show::new(style, matching, excluded).for_stdout(color, marked))
    }
}

impl<T: AsMut<Display> + 'static> Flag<T> {
    pub const JSON: Flag<T> = Flag::switch("json", "Print messages as JSON Lines", |o: &mut T| o.as_mut().json = true)
        .more("In the form of `backbox decode`. A malformed line is reported and not printed.")
        .conflicts(&["format"], "each is a form of the same message")
        .group("Output")
        .common();
    pub const META: Flag<T> = Flag::switch("meta", "Add time, connection and sender to the JSON", |o: &mut T| {
        o.as_mut().meta = true;
    })
    .more(
        "A member `meta` with `time` (seconds since 1970), `conn` (the connection's number), `peer` (its address) and \
         `from` (`client` or `server`).",
    )
    .needs(&["json"], "it is a member of the JSON; templates of -F have {@time}, {@conn}, {@peer} and {@from}")
    .group("Output");
    /// `-F` with the words of a live connection.
    pub const LIVE_FORMAT: Flag<T> =
        Flag::value("format", "TEMPLATE", "Print one line a message from *TEMPLATE*", |o: &mut T, value| {
            let template = Template::parse_live(&text(value)?);
            set(&mut o.as_mut().selection.template, template)
        })
        .short('F')
        .more(
            "As in `backbox decode`: `{NAME}`, `{@command}`, `{@line}`, `{@json}`. Also `{@time}`, `{@conn}`, \
             `{@peer}` and `{@from}`, which are the members of `--meta`.",
        )
        .group("Output")
        .common();
}

/// Where to connect, and how patiently.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// `-a`, as typed.
    pub address: Option<String>,
    /// `--retry`.
    pub retry: Duration,
}

impl<T: AsMut<ConnectOptions> + 'static> Flag<T> {
    /// `-a`; each subcommand adds its default.
    pub const ADDR: Flag<T> = Flag::value("addr", "ADDRESS", "Connect to *ADDRESS*", |o: &mut T, value| {
        set(&mut o.as_mut().address, address(value))
    })
    .short('a')
    .group("Connection")
    .common();
    pub const RETRY: Flag<T> =
        Flag::value("retry", "DURATION", "Retry the connection for up to *DURATION*", |o: &mut T, value| {
            o.as_mut().retry = duration(value)?;
            Ok(())
        })
        .more(
            "It is tried every 100 ms, whatever failed. A *DURATION* is written `250ms`, `1.5s` or `2m`; a bare \
             number is seconds.",
        )
        .group("Connection")
        .common();
}

/// `--view`: how the messages of a live connection are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveView {
    /// As a table on a terminal, else as raw lines.
    #[default]
    Auto,
    Table,
    Raw,
}

impl LiveView {
    /// The table, if messages are printed as one.
    pub(crate) fn table(self, ends: EndNames, color: Color) -> Option<Table> {
        let is_terminal = stdout_is_terminal();
        let wanted = self == LiveView::Table || (self == LiveView::Auto && is_terminal);
        wanted.then(|| Table::new(ends, stdout_columns(), color.is_on(is_terminal)))
    }
}

impl<T: AsMut<LiveView> + 'static> Flag<T> {
    pub const VIEW: Flag<T> = Flag::choice(
        "view",
        "VIEW",
        &["table", "raw"],
        "Print messages as *VIEW*",
        |o: &mut T, view| {
            *o.as_mut() = if view == "table" { LiveView::Table } else { LiveView::Raw };
        },
    )
    .default("`table` on a terminal")
    .more(
        "`table` prints one row a message, with its time, direction and values; `raw`, which is the default elsewhere, \
             prints the lines received.",
    )
    .group("Output")
    .common();
}

/// `-v`: whether the traffic is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verbose(pub bool);

impl<T: AsMut<Verbose> + 'static> Flag<T> {
    pub const VERBOSE: Flag<T> =
        Flag::switch("verbose", "Show the traffic on standard error", |o: &mut T| o.as_mut().0 = true)
            .short('v')
            .more("`>` marks a line that is sent, `<` one that is received.")
            .group("General")
            .common();
}

impl<T: AsMut<Wire> + 'static> Flag<T> {
    pub const WIRE: Flag<T> =
        Flag::choice("wire", "PROTOCOL", &Wire::NAMES, "Use the protocol *PROTOCOL*", |o: &mut T, name| {
            *o.as_mut() = Wire::named(name.as_bytes()).unwrap_or_default();
        })
        .default("bcp")
        .more("`obe` is the protocol of `optbayesexpt`'s OBE_Socket; see `obe-socket`(7).")
        .group("Connection");
}

impl<T: AsMut<OutputOptions> + 'static> Flag<T> {
    pub const QUIET: Flag<T> =
        Flag::switch("quiet", "Print no notes or summaries", |o: &mut T| o.as_mut().quiet = true)
            .short('q')
            .more("Errors are still printed.")
            .group("General")
            .common();
    pub const COLOR: Flag<T> =
        Flag::choice("color", "WHEN", &["auto", "always", "never"], "Color the output", |o: &mut T, when| {
            o.as_mut().color = match when {
                "always" => Color::Always,
                "never" => Color::Never,
                _ => Color::Auto,
            }
        })
        .default("auto")
        .more(
            "`auto` colors on a terminal, unless the environment variable `NO_COLOR` is set. With `always`, messages \
             are printed as on a terminal in a pipe too.",
        )
        .group("General");
}

impl<T: AsMut<Input> + 'static> Flag<T> {
    pub const KEEP_CASE: Flag<T> = Flag::switch("keep-case", "Keep the case of commands and names", |o: &mut T| {
        o.as_mut().reading.keep_case = true;
    })
    .more("By default they become lower case, because their case has no meaning in BCP.")
    .group("Input");
    pub const NO_NAN: Flag<T> = Flag::switch("no-nan", "Reject NaN and the infinities", |o: &mut T| {
        o.as_mut().reading.allow_nan = false;
    })
    .more(
        "By default they are read and written as `NaN`, `Infinity` and `-Infinity`, as Python's JSON encoder does. \
         Standard JSON has none of them.",
    )
    .group("Input");
    pub const FAIL_FAST: Flag<T> =
        Flag::switch("fail-fast", "Stop at the first malformed line", |o: &mut T| o.as_mut().fail_fast = true)
            .more("By default it is reported and skipped, and the exit status is 1.")
            .group("Input")
            .common();
    pub const MAX_LINE: Flag<T> =
        Flag::value("max-line", "BYTES", "Reject lines longer than *BYTES*", |o: &mut T, value| {
            o.as_mut().line_bytes_max = number(value)?;
            Ok(())
        })
        .default("1048576")
        .more("The end of the line does not count. A longer line is reported and skipped.")
        .group("Limits");
    pub const MAX_PAYLOAD: Flag<T> =
        Flag::value("max-payload", "BYTES", "Reject payloads larger than *BYTES*", |o: &mut T, value| {
            o.as_mut().payload_bytes_max = number(value)?;
            Ok(())
        })
        .default("16777216")
        .more("A larger payload ends the input or connection, because what follows it cannot be read.")
        .group("Limits");
}

impl<T: AsMut<Selection> + 'static> Flag<T> {
    pub const MATCH: Flag<T> =
        Flag::value("match", "PATTERN", "Print only messages that match *PATTERN*", |o: &mut T, value| {
            push(&mut o.as_mut().matching, text(value))
        })
        .short('m')
        .more("With several patterns, a message has to match one of them.")
        .repeats()
        .group("Output")
        .common();
    pub const EXCLUDE: Flag<T> =
        Flag::value("exclude", "PATTERN", "Leave out messages that match *PATTERN*", |o: &mut T, value| {
            push(&mut o.as_mut().excluded, text(value))
        })
        .short('x')
        .repeats()
        .group("Output");
    pub const FORMAT: Flag<T> =
        Flag::value("format", "TEMPLATE", "Print one line a message from *TEMPLATE*", |o: &mut T, value| {
            set(&mut o.as_mut().template, Template::parse(&text(value)?))
        })
        .short('F')
        .more(
            "`{NAME}` is the text of a parameter, or nothing if there is none. `{@command}` is the command, `{@line}` \
             the line without its payload, `{@json}` the JSON form. `{{` and `}}` are braces. A backslash is literal; \
             shells write a tab as `$'\\t'`.",
        )
        .group("Output")
        .common();
}
