//! One option of a subcommand: its names, its help and its value; and the rules about which options go together.
//!
//! The constructors are `const`, so that a table is plain data in a subcommand's file. Parser, help, man pages and
//! completions all read the same [`Flag`].

use super::command::Help;
use super::parse::{any_of, rule_name};

/// What a value or an argument is completed to.
#[derive(Clone, Copy, Debug)]
pub enum Complete {
    /// Nothing that could be known beforehand.
    Nothing,
    /// The name of a file.
    File,
    /// One of these words. The parser refuses any other as the value of an option.
    Words(&'static [&'static str]),
    /// Positionals only: the first is one of the keys, and those after it are completed from that key's words.
    Keyed(fn() -> Vec<(String, Vec<String>)>),
}

/// An option of a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The long name, without its dashes.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// The name of its value, such as `FILE`; none for a switch.
    pub(crate) value: Option<&'static str>,
    /// What it does: a verb and an object, without a full stop. All that the short help shows. May hold markup.
    pub(crate) help: &'static str,
    /// What holds without it, if that is worth saying.
    pub(super) default: &'static str,
    /// Whether the short help lists it.
    pub(crate) common: bool,
    /// Whether each further use adds to the ones before. Otherwise the last one counts.
    pub(crate) repeats: bool,
    pub(super) complete: Complete,
}

impl Flag {
    /// An option without a value: `--quiet`.
    pub const fn switch(long: &'static str, help: &'static str) -> Flag {
        let (common, repeats, complete) = (false, false, Complete::Nothing);
        Flag { long, short: None, value: None, help, default: "", common, repeats, complete }
    }

    /// An option with a value: `--input FILE`.
    pub const fn value(long: &'static str, value: &'static str, help: &'static str) -> Flag {
        Flag { value: Some(value), ..Flag::switch(long, help) }
    }

    /// Gives it a letter.
    pub const fn short(self, letter: char) -> Flag {
        Flag { short: Some(letter), ..self }
    }

    /// Adds `[default: …]` to its help.
    pub const fn default(self, default: &'static str) -> Flag {
        Flag { default, ..self }
    }

    /// Lists it in the short help, which has room for about a dozen.
    pub const fn common(self) -> Flag {
        Flag { common: true, ..self }
    }

    /// Says that it adds up when it is given again.
    pub const fn repeats(self) -> Flag {
        Flag { repeats: true, ..self }
    }

    /// Says what its value is completed to.
    pub const fn complete(self, complete: Complete) -> Flag {
        Flag { complete, ..self }
    }

    /// Refuses any other value.
    pub const fn one_of(self, words: &'static [&'static str]) -> Flag {
        self.complete(Complete::Words(words))
    }

    /// Every spelling with its dashes: `-b`, `--bytes`.
    pub(super) fn spellings(&self) -> impl Iterator<Item = String> + use<> {
        let short = self.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", self.long)])
    }

    pub(super) fn is_spelled(&self, word: &str) -> bool {
        self.spellings().any(|spelling| spelling == word)
    }

    /// All that there is to say about it, in sentences with markup: its help, the page's text about it, and the rules.
    pub(crate) fn sentences(&self, page: &Help, rules: &[Rule]) -> String {
        let mut text = format!("{}.", self.help);
        if !self.default.is_empty() {
            text += &format!(" The default is {}.", self.default);
        }
        if let (Some(value), Complete::Words(words)) = (self.value, self.complete) {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            text += &format!(" *{value}* is one of {}.", words.join(", "));
        }
        let is_this = |name: &str| name.strip_prefix("--") == Some(self.long);
        if let Some((_, more)) = page.entries("Options").into_iter().find(|(name, _)| is_this(name)) {
            text += &format!(" {more}");
        }
        let named = |kind| {
            let rules = rules.iter().filter(move |rule| rule.kind == kind && rule.flags.contains(&self.long));
            rules.map(|rule| rule.others.iter().map(|other| rule_name(other)).collect::<Vec<_>>())
        };
        for others in named(RuleKind::Needs) {
            text += &format!(" Only with {}.", any_of(&others));
        }
        let excluded: Vec<String> = named(RuleKind::Conflicts).flatten().collect();
        if !excluded.is_empty() {
            text += &format!(" Not with {}.", any_of(&excluded));
        }
        text + if self.repeats { " May be repeated." } else { "" }
    }
}

/// Options under a heading of the long help and the man page.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub(crate) title: &'static str,
    pub(crate) flags: &'static [Flag],
}

impl Group {
    pub const fn new(title: &'static str) -> Group {
        Group { title, flags: &[] }
    }

    pub const fn flags(self, flags: &'static [Flag]) -> Group {
        Group { flags, ..self }
    }
}

/// Why some options need others, or cannot be used with them.
///
/// Each name of `others` is the long name of an option (`forward`); an option with a value (`wire=obe`), which means
/// that the option was given last with this value; an upper-case name (`COMMAND`), which means a positional other than
/// `-`; or `-`, which means that standard input is read, because there is no positional or one that is `-`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub(super) kind: RuleKind,
    /// The long names of the options that the rule is about.
    pub(crate) flags: &'static [&'static str],
    pub(crate) others: &'static [&'static str],
    /// The reason: a clause that follows a colon.
    pub(crate) why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleKind {
    Needs,
    Conflicts,
}

impl Rule {
    /// Refuses each of `flags` without at least one of `others`.
    pub const fn needs(flags: &'static [&'static str], others: &'static [&'static str], why: &'static str) -> Rule {
        Rule { kind: RuleKind::Needs, flags, others, why }
    }

    /// Refuses each of `flags` together with any of `others`.
    pub const fn conflicts(flags: &'static [&'static str], others: &'static [&'static str], why: &'static str) -> Rule {
        Rule { kind: RuleKind::Conflicts, flags, others, why }
    }
}
