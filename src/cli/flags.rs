//! One option of a subcommand: its names, its help, its value, its effect, and what it cannot be used with.
//!
//! The constructors are `const`, so that a table is plain data in a subcommand's file. Parser, help, man pages and
//! completions all read the same [`Flag`].

use std::ffi::OsString;

use super::parse::{any_of, constraint_name};

/// What a value or an argument is completed to.
#[derive(Clone, Copy, Debug)]
pub enum Complete {
    /// Nothing that could be known beforehand.
    Nothing,
    /// The name of a file.
    File,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Positionals only: the first is one of the keys, and those after it are completed from that key's words.
    Keyed(fn() -> Vec<(String, Vec<String>)>),
}

/// What an option does to the options' struct.
#[derive(Clone, Copy, Debug)]
pub(super) enum Set<T: 'static> {
    /// Takes no value.
    Switch(fn(&mut T)),
    /// Takes any value; the complaint is a phrase such as `invalid number "lots"`, without the option's name.
    Value(fn(&mut T, OsString) -> Result<(), String>),
    /// Takes one of these words.
    Choice(&'static [&'static str], fn(&mut T, &'static str)),
}

/// Why an option needs others or cannot be used with them, as [`Flag::needs`] and [`Flag::conflicts`] say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constraint {
    pub(crate) kind: ConstraintKind,
    /// What is needed or excluded; see [`Flag::needs`] for the spelling.
    pub(crate) others: &'static [&'static str],
    /// The reason: a clause that follows a colon.
    pub(crate) why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConstraintKind {
    Needs,
    Conflicts,
}

/// How many constraints one option can have; the compiler refuses more.
const CONSTRAINTS_MAX: usize = 8;

/// An option of a subcommand whose options' struct is `T`. `Flag<()>` is one without its effect, which is what help,
/// man pages and completions read.
#[derive(Clone, Copy, Debug)]
pub struct Flag<T: 'static = ()> {
    /// The long name, without its dashes.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// The name of its value, such as `FILE`; none for a switch.
    pub(crate) value: Option<&'static str>,
    /// What it does: a verb and an object, without a full stop. All that the short help shows. May hold markup.
    pub(crate) help: &'static str,
    /// What holds without it, if that is worth saying.
    pub(super) default: &'static str,
    /// Further sentences for the long help and the man page; may be empty. May hold markup.
    pub(crate) more: &'static str,
    /// The heading in the long help and the man page.
    pub(crate) group: &'static str,
    /// Whether the short help lists it.
    pub(crate) common: bool,
    /// Whether each further use adds to the ones before. Otherwise the last one counts.
    pub(crate) repeats: bool,
    pub(super) complete: Complete,
    constraints: [Option<Constraint>; CONSTRAINTS_MAX],
    pub(super) set: Set<T>,
}

impl<T> Flag<T> {
    /// An option without a value: `--quiet`.
    pub const fn switch(long: &'static str, help: &'static str, set: fn(&mut T)) -> Flag<T> {
        Flag::new(long, help, None, Complete::Nothing, Set::Switch(set))
    }

    /// An option with a value: `--input FILE`. The setter refuses a value with a phrase that quotes the value and not
    /// the option (`invalid number "lots"`); the parser puts the option before it, as the user spelled it.
    pub const fn value(
        long: &'static str,
        value: &'static str,
        help: &'static str,
        set: fn(&mut T, OsString) -> Result<(), String>,
    ) -> Flag<T> {
        Flag::new(long, help, Some(value), Complete::Nothing, Set::Value(set))
    }

    /// An option whose value is one of `words`: `--color WHEN`. The parser refuses any other word, with the list.
    pub const fn choice(
        long: &'static str,
        value: &'static str,
        words: &'static [&'static str],
        help: &'static str,
        set: fn(&mut T, &'static str),
    ) -> Flag<T> {
        Flag::new(long, help, Some(value), Complete::Words(words), Set::Choice(words, set))
    }

    const fn new(
        long: &'static str,
        help: &'static str,
        value: Option<&'static str>,
        complete: Complete,
        set: Set<T>,
    ) -> Flag<T> {
        Flag {
            long,
            short: None,
            value,
            help,
            default: "",
            more: "",
            group: "Options",
            common: false,
            repeats: false,
            complete,
            constraints: [None; CONSTRAINTS_MAX],
            set,
        }
    }

    /// Gives it a letter.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Flag<T> {
        self.short = Some(letter);
        self
    }

    /// Adds `[default: …]` to its help.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Flag<T> {
        self.default = value;
        self
    }

    /// Adds sentences for the long help and the man page.
    #[must_use]
    pub const fn more(mut self, sentences: &'static str) -> Flag<T> {
        self.more = sentences;
        self
    }

    /// Puts it under this heading of the long help and the man page.
    #[must_use]
    pub const fn group(mut self, heading: &'static str) -> Flag<T> {
        self.group = heading;
        self
    }

    /// Lists it in the short help, which has room for about a dozen.
    #[must_use]
    pub const fn common(mut self) -> Flag<T> {
        self.common = true;
        self
    }

    /// Says that it adds up when it is given again; its setter has to do so.
    #[must_use]
    pub const fn repeats(mut self) -> Flag<T> {
        self.repeats = true;
        self
    }

    /// Says what its value is completed to.
    #[must_use]
    pub const fn complete(mut self, complete: Complete) -> Flag<T> {
        self.complete = complete;
        self
    }

    /// Refuses it without at least one of `others`, for the reason `why`.
    ///
    /// Each of `others` is the long name of an option (`forward`); an option with a value (`wire=obe`), which means
    /// that the option was given last with this value; an upper-case name (`COMMAND`), which means a positional other
    /// than `-`; or `-`, which means that standard input is read, because there is no positional or one that is `-`.
    #[must_use]
    pub const fn needs(self, others: &'static [&'static str], why: &'static str) -> Flag<T> {
        self.constraint(Constraint { kind: ConstraintKind::Needs, others, why })
    }

    /// Refuses it together with any of `others`, spelled as for [`Flag::needs`]. One side of a conflict names the
    /// other.
    #[must_use]
    pub const fn conflicts(self, others: &'static [&'static str], why: &'static str) -> Flag<T> {
        self.constraint(Constraint { kind: ConstraintKind::Conflicts, others, why })
    }

    const fn constraint(mut self, constraint: Constraint) -> Flag<T> {
        let mut at = 0;
        while self.constraints[at].is_some() {
            at += 1;
        }
        self.constraints[at] = Some(constraint);
        self
    }

    pub(crate) fn constraints(&self) -> impl Iterator<Item = &Constraint> {
        self.constraints.iter().flatten()
    }

    /// The same option without its effect.
    pub(super) fn bare(&self) -> Flag {
        Flag {
            long: self.long,
            short: self.short,
            value: self.value,
            help: self.help,
            default: self.default,
            more: self.more,
            group: self.group,
            common: self.common,
            repeats: self.repeats,
            complete: self.complete,
            constraints: self.constraints,
            set: Set::Switch(|()| {}),
        }
    }

    /// Every spelling with its dashes: `-b`, `--bytes`.
    pub(super) fn spellings(&self) -> impl Iterator<Item = String> + use<T> {
        let short = self.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", self.long)])
    }

    pub(super) fn is_spelled(&self, word: &str) -> bool {
        match word.strip_prefix("--") {
            Some(long) => long == self.long,
            None => word.strip_prefix('-').is_some_and(|short| self.short.is_some_and(|c| short.chars().eq([c]))),
        }
    }

    /// All that there is to say about it, in sentences with markup.
    pub(crate) fn sentences(&self) -> String {
        let mut text = format!("{}.", self.help);
        if !self.default.is_empty() {
            text += &format!(" The default is {}.", self.default);
        }
        if let (Some(value), Complete::Words(words)) = (self.value, self.complete) {
            text += &format!(
                " *{value}* is one of {}.",
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            );
        }
        if !self.more.is_empty() {
            text += &format!(" {}", self.more);
        }
        let mut excluded = Vec::new();
        for constraint in self.constraints() {
            let others = constraint.others.iter().map(|other| constraint_name(other));
            match constraint.kind {
                ConstraintKind::Needs => text += &format!(" Only with {}.", any_of(&others.collect::<Vec<_>>())),
                ConstraintKind::Conflicts => excluded.extend(others),
            }
        }
        if !excluded.is_empty() {
            text += &format!(" Not with {}.", any_of(&excluded));
        }
        text + if self.repeats { " May be repeated." } else { "" }
    }
}
