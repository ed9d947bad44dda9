//! One flag of a subcommand: its names, its help, its value and its effect on the options.
//!
//! The constructors are `const`, so that a table is plain data in a subcommand's file. What a renderer needs is a
//! [`FlagInfo`] without the options' type; what the parser needs besides is the private effect.

use std::ffi::OsString;
use std::fmt;

/// What a value may be completed to.
#[derive(Clone, Copy, Debug)]
pub enum Complete {
    /// Nothing that could be known beforehand.
    Nothing,
    /// The name of a file.
    File,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of the words that this function lists when the completions are rendered.
    List(fn() -> Vec<String>),
    /// Positionals only: the first is one of the keys, and those after it are completed from that key's words.
    Keyed(fn() -> Vec<(String, Vec<String>)>),
}

/// A flag as help, man page and completions see it.
#[derive(Clone, Copy, Debug)]
pub struct FlagInfo {
    /// The long name, without its dashes.
    pub long: &'static str,
    /// The letter, if it has one.
    pub short: Option<char>,
    /// What it does, in a line of at most some fifty letters; all that the short help says. May hold markup.
    pub help: &'static str,
    /// Further sentences for the long help and the man page; may be empty. May hold markup.
    pub more: &'static str,
    /// The name of its value, such as `FILE`; none for a switch.
    pub metavar: Option<&'static str>,
    /// What its value is completed to.
    pub complete: Complete,
    /// Whether each further use adds to the ones before. Otherwise the last one counts.
    pub repeats: bool,
}

/// What a flag does to the options.
pub(super) enum Set<T: 'static> {
    /// Takes no value.
    Switch(fn(&mut T)),
    /// Takes any value; the complaint is a phrase such as `"lots" is no number`, without the flag's name.
    Value(fn(&mut T, OsString) -> Result<(), String>),
    /// Takes one of these words.
    Choice(&'static [&'static str], fn(&mut T, &'static str)),
}

/// A flag of a subcommand whose options are a `T`.
pub struct Flag<T: 'static> {
    pub(super) info: FlagInfo,
    pub(super) set: Set<T>,
}

impl<T> Flag<T> {
    /// A flag without a value: `--quiet`.
    pub const fn switch(long: &'static str, help: &'static str, set: fn(&mut T)) -> Flag<T> {
        Flag::new(long, help, None, Complete::Nothing, Set::Switch(set))
    }

    /// A flag with a value: `--input FILE`. The setter refuses a value with a phrase that names the value and not the
    /// flag (`"lots" is no number`); the parser says the flag before it, as the user spelled it.
    pub const fn value(
        long: &'static str,
        metavar: &'static str,
        help: &'static str,
        set: fn(&mut T, OsString) -> Result<(), String>,
    ) -> Flag<T> {
        Flag::new(long, help, Some(metavar), Complete::Nothing, Set::Value(set))
    }

    /// A flag whose value is one of `words`: `--color WHEN`. Any other word is refused by the parser, with the list.
    pub const fn choice(
        long: &'static str,
        metavar: &'static str,
        words: &'static [&'static str],
        help: &'static str,
        set: fn(&mut T, &'static str),
    ) -> Flag<T> {
        let effect = Set::Choice(words, set);
        Flag::new(long, help, Some(metavar), Complete::Words(words), effect)
    }

    const fn new(
        long: &'static str,
        help: &'static str,
        metavar: Option<&'static str>,
        complete: Complete,
        set: Set<T>,
    ) -> Flag<T> {
        let info = FlagInfo { long, short: None, help, more: "", metavar, complete, repeats: false };
        Flag { info, set }
    }

    /// The same flag with a letter.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Flag<T> {
        self.info.short = Some(letter);
        self
    }

    /// The same flag with further sentences for the long help and the man page.
    #[must_use]
    pub const fn more(mut self, sentences: &'static str) -> Flag<T> {
        self.info.more = sentences;
        self
    }

    /// The same flag, said to add up when it is given again; its setter has to do so.
    #[must_use]
    pub const fn repeats(mut self) -> Flag<T> {
        self.info.repeats = true;
        self
    }

    /// The same flag with a value that can be completed.
    #[must_use]
    pub const fn complete(mut self, complete: Complete) -> Flag<T> {
        self.info.complete = complete;
        self
    }
}

impl<T> fmt::Debug for Flag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

/// Flags that stand together in help and man page.
#[derive(Debug)]
pub struct Group<T: 'static> {
    /// The heading above them, such as `Output`.
    pub title: &'static str,
    /// The flags, in the order in which they are shown.
    pub flags: &'static [Flag<T>],
}

impl FlagInfo {
    /// Every spelling with its dashes: `-b`, `--bytes`.
    pub(super) fn spellings(&self) -> impl Iterator<Item = String> {
        let short = self.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", self.long)])
    }

    /// All that there is to say about it, in sentences with markup.
    pub(super) fn sentences(&self) -> String {
        let mut letters = self.help.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let mut text: String = first.into_iter().chain(letters).collect();
        text.push('.');
        if let (Some(metavar), Complete::Words(words)) = (self.metavar, self.complete) {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            text += &format!(" *{metavar}* is one of {}.", words.join(", "));
        }
        if !self.more.is_empty() {
            text.push(' ');
            text += self.more;
        }
        if self.repeats {
            text += " May be repeated.";
        }
        text
    }
}

impl Complete {
    /// The words to offer wherever the value stands; none for files and for what nobody can know.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        match self {
            Complete::Nothing | Complete::File => None,
            Complete::Words(words) => Some(words.iter().map(|word| (*word).to_owned()).collect()),
            Complete::List(list) => Some(list()),
            Complete::Keyed(table) => Some(table().into_iter().map(|(key, _)| key).collect()),
        }
    }
}
