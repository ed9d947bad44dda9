//! A subcommand's whole table, [`Command`], and what help, man page and completions see of it, [`Page`].

use std::ffi::OsString;

use super::flags::{Complete, FlagInfo, Group};
use crate::exit::Exit;

/// The prose about a subcommand. Texts may hold the markup of this module: `` `literal` `` and `*ARGUMENT*`.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What is typed after the program's name.
    pub name: &'static str,
    /// What it does in one line, without a full stop.
    pub summary: &'static str,
    /// What may follow the name, one line a way of use: `[*FLAG*]... [*FILE*]...`. May hold markup.
    pub synopsis: &'static [&'static str],
    /// Paragraphs.
    pub description: &'static [&'static str],
    /// The positionals, each with what it means.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Further sections of the long help and the man page, behind the flags.
    pub sections: &'static [Section],
    /// The exit statuses that it can end with; their texts are those of [`Exit::MEANINGS`].
    pub exits: &'static [Exit],
    /// Command lines that work as they stand.
    pub examples: &'static [Example],
    /// Man pages to read next, each with its section.
    pub see_also: &'static [(&'static str, u8)],
}

/// A section of prose under a heading of its own.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Paragraphs; may hold markup.
    pub paragraphs: &'static [&'static str],
}

/// A command line, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What to type into a shell, as it stands.
    pub line: &'static str,
    /// A sentence; may hold markup.
    pub text: &'static str,
}

/// What happens to the arguments that are no flags.
#[derive(Clone, Copy, Debug)]
pub struct Operands<T: 'static> {
    /// What they are completed to.
    pub complete: Complete,
    /// Takes the next one. Its complaint is shown as it stands, so it names the argument and says what to write.
    pub set: fn(&mut T, OsString) -> Result<(), String>,
}

/// A subcommand whose options are a `T`: everything that parser, help, man page and completions know about it.
#[derive(Debug)]
pub struct Command<T: 'static> {
    /// The prose.
    pub about: About,
    /// The flags. `-h`, `--help` and `--version` are there without being listed.
    pub groups: &'static [Group<T>],
    /// The positionals; none means that every positional is refused.
    pub operands: Option<Operands<T>>,
}

/// The positionals as the completions see them.
#[derive(Clone, Copy, Debug)]
pub struct OperandInfo {
    /// What they are completed to.
    pub complete: Complete,
}

/// A subcommand's table without the type of its options: what is rendered.
#[derive(Clone, Debug)]
pub struct Page {
    /// The prose.
    pub about: About,
    /// The flags in their groups; the last group holds `--help` and `--version`.
    pub groups: Vec<(&'static str, Vec<FlagInfo>)>,
    /// The positionals, if there are any.
    pub operands: Option<OperandInfo>,
}

/// The flags that every subcommand and the program itself answer to.
pub(super) const HELP: FlagInfo = FlagInfo {
    long: "help",
    short: Some('h'),
    help: "print help; `-h` prints the short one",
    more: "",
    metavar: None,
    complete: Complete::Nothing,
    repeats: false,
};

/// See [`HELP`].
pub(super) const VERSION: FlagInfo = FlagInfo { long: "version", short: None, help: "print the version", ..HELP };

impl<T> Command<T> {
    /// What is rendered of this table.
    pub fn page(&self) -> Page {
        let mut groups: Vec<_> =
            self.groups.iter().map(|group| (group.title, group.flags.iter().map(|flag| flag.info).collect())).collect();
        groups.push(("Help", vec![HELP, VERSION]));
        Page {
            about: self.about,
            groups,
            operands: self.operands.as_ref().map(|operands| OperandInfo { complete: operands.complete }),
        }
    }
}

impl Page {
    /// All flags, in the order of the page.
    pub fn flags(&self) -> impl Iterator<Item = &FlagInfo> {
        self.groups.iter().flat_map(|(_, flags)| flags)
    }
}
