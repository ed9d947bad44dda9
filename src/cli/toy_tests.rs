//! An example program with two subcommands that share options, for the tests of this module.

use std::ffi::OsString;

use super::{
    Command, Complete, Example, Flag, Help, Positionals, Program, Section, Subcommand, number, push, set, text,
};
use crate::exit::Exit;

pub const PROGRAM: Program = Program {
    help: Help {
        name: "toy",
        summary: "count and press things",
        synopsis: &["*SUBCOMMAND* [*OPTION*]... [*WORD*]..."],
        description: &["A toy. Its options are read by `toy count -h` and by *you*."],
        exits: &[Exit::Success, Exit::Usage],
        ..EMPTY
    },
    version: "1.2.3",
    build: || "anywhere".to_owned(),
    subcommands: SUBCOMMANDS,
    alias_hint: |word| (word == "squeeze").then(|| "toy press".to_owned()),
};

const SUBCOMMANDS: &[&dyn Subcommand] = &[&PRESS, &COUNT];

const EMPTY: Help = Help {
    name: "",
    summary: "",
    synopsis: &[],
    description: &[],
    arguments: &[],
    sections: &[],
    exits: &[Exit::Success, Exit::Failed, Exit::Usage],
    examples: &[],
    see_also: &[],
};

/// The options of both subcommands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// `-q`.
    pub quiet: bool,
    /// `--color`.
    pub color: Option<&'static str>,
}

/// Access to the shared options.
pub trait HasShared: Sized + 'static {
    fn shared(&mut self) -> &mut Shared;
}

/// Names of the example program's options.
impl<T: HasShared> Flag<T> {
    const TOY_QUIET: Flag<T> = Flag::switch("quiet", "Print no notes", |o: &mut T| o.shared().quiet = true)
        .short('q')
        .group("Output")
        .common();
    const TOY_COLOR: Flag<T> =
        Flag::choice("color", "WHEN", &["auto", "always", "never"], "When to colour", |o: &mut T, when| {
            o.shared().color = Some(when)
        })
        .group("Output");
}

/// The options of `toy count`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Shared with `toy press`.
    pub shared: Shared,
    /// `-s`.
    pub string: bool,
    /// `-0`.
    pub null: bool,
    /// `-b`, which adds up.
    pub bytes: Vec<OsString>,
    /// `-F`.
    pub format: Option<String>,
    /// `--max-line`.
    pub line_bytes_max: Option<u64>,
    /// `--fail-fast`.
    pub fail_fast: bool,
    /// The positionals.
    pub words: Vec<OsString>,
}

impl HasShared for Count {
    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }
}

/// `toy count`.
pub const COUNT: Command<Count> = Command {
    help: Help {
        name: "count",
        summary: "count what is read",
        synopsis: &["[*OPTION*]... [*WORD*]...", "`-s` [*STRING*]..."],
        description: &["It counts.", ".profile isn't read; a \\ is itself."],
        arguments: &[("*NAME*=*TEXT*", "a parameter that is the text")],
        sections: &[Section { title: "Notes", paragraphs: &["A `pattern*` keeps its star."] }],
        examples: &[Example { line: "toy count -F '{name}\\t' -- -x", text: "Counts `-x`." }],
        see_also: &[("bcp", 7)],
        ..EMPTY
    },
    flags: &[
        Flag::value("bytes", "FILE", "Read the payload from *FILE*", |o: &mut Count, v| push(&mut o.bytes, Ok(v)))
            .short('b')
            .more("A `-` is stdin.")
            .repeats()
            .complete(Complete::File)
            .group("Input")
            .common(),
        Flag::value("max-line", "BYTES", "Refuse longer lines", |o: &mut Count, v| {
            set(&mut o.line_bytes_max, number(v))
        })
        .default("10")
        .needs(&["-"], "arguments are short")
        .group("Input"),
        Flag::switch("fail-fast", "Stop at the first error", |o: &mut Count| {
            o.fail_fast = true;
        })
        .conflicts(&["color=never"], "why")
        .conflicts(&["WORD"], "nothing is read")
        .group("Input"),
        Flag::switch("string", "Count strings [not lines]", |o: &mut Count| o.string = true).short('s').group("Output"),
        Flag::switch("null", "It's NUL that ends them", |o: &mut Count| o.null = true)
            .short('0')
            .group("Output")
            .needs(&["string", "bytes"], "only strings have an end"),
        Flag::value("format", "TEMPLATE", "Print it like this: *x*", |o: &mut Count, v| set(&mut o.format, text(v)))
            .short('F')
            .conflicts(&["string"], "a string has no parts")
            .group("Output"),
        Flag::TOY_QUIET,
        Flag::TOY_COLOR,
    ],
    run: |_| Ok(Exit::Success),
    positionals: Some(Positionals {
        complete: Complete::File,
        set: |o, word| {
            if word == "refused" {
                return Err("refused: write accepted".to_owned());
            }
            o.words.push(word);
            Ok(())
        },
    }),
};

/// The options of `toy press`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Press {
    /// Shared with `toy count`.
    pub shared: Shared,
    /// The positionals.
    pub words: Vec<OsString>,
}

impl HasShared for Press {
    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }
}

/// `toy press`.
pub const PRESS: Command<Press> = Command {
    help: Help {
        name: "press",
        summary: "press a button that isn't there: `*`",
        synopsis: &["*BUTTON* [*NAME*=*TEXT*]..."],
        ..EMPTY
    },
    flags: &[Flag::TOY_QUIET, Flag::TOY_COLOR],
    run: |_| Ok(Exit::Success),
    positionals: Some(Positionals {
        complete: Complete::Keyed(buttons),
        set: |o, word| {
            o.words.push(word);
            Ok(())
        },
    }),
};

fn buttons() -> Vec<(String, Vec<String>)> {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    vec![("start".to_owned(), words(&["player=", "when="])), ("stop".to_owned(), words(&["hard="]))]
}

/// `toy wait`, which has no options or positionals.
pub const WAIT: Command<Press> =
    Command { help: Help { name: "wait", ..EMPTY }, flags: &[], positionals: None, run: |_| Ok(Exit::Success) };
