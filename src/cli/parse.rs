//! The parser: arguments against a subcommand's table, with lexopt doing the cutting.
//!
//! Rules: `-` is a positional, `--` ends the flags, and `--opt=value`, `--opt value`, `-oVALUE`, `-o=VALUE`, `-o VALUE`
//! and `-sq` are read. A flag's value is what follows, whatever it looks like. A flag that does not add up and is given
//! twice counts as given last. `-h`, `--help` and `--version` work when the rest of the line is wrong, before or behind
//! them (design.md, section 8); the first of them wins. Positionals and flags may be mixed.

use std::cell::Cell;
use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::flags::{Flag, FlagInfo, Set};
use super::help;
use super::page::{Command, HELP, VERSION};
use super::program::{Program, not_among};
use super::suggest;
use super::values::shown;
use crate::exit::Failure;

/// What a subcommand's arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Run with these options.
    Run(T),
    /// Print this text, which ends in a line feed, to standard output, and end well.
    Print(String),
}

/// What one argument came to.
enum Step {
    Taken,
    Print(String),
}

/// Reads the arguments behind the subcommand's name into its options, beginning with their defaults.
///
/// # Errors
///
/// [`Failure::Usage`] for the first thing wrong: an unknown flag, a missing, unexpected or refused value, a refused
/// positional. The text names the flag as the user spelled it. Setters run in the order of the arguments, and none
/// runs behind the first error.
pub fn parse<T: Default>(
    program: &Program,
    command: &Command<T>,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Parsed<T>, Failure> {
    let line = Line { program, command, swallowed: Cell::new(None) };
    let mut parser = Parser::from_args(args);
    let mut options = T::default();
    loop {
        match line.step(&mut parser, &mut options) {
            Ok(Some(Step::Taken)) => {}
            Ok(Some(Step::Print(text))) => return Ok(Parsed::Print(text)),
            Ok(None) => return Ok(Parsed::Run(options)),
            Err(complaint) => {
                return match line.printed_behind(&mut parser) {
                    Some(text) => Ok(Parsed::Print(text)),
                    None => Err(Failure::Usage(complaint)),
                };
            }
        }
    }
}

/// The line that is read: whose table, of which program.
struct Line<'a, T: 'static> {
    program: &'a Program,
    command: &'a Command<T>,
    /// What the last flag whose value looks like a flag has to say of it; a word behind it was meant for that one.
    swallowed: Cell<Option<String>>,
}

impl<T> Line<'_, T> {
    /// Takes one flag or positional; nothing when there is none left.
    fn step(&self, parser: &mut Parser, options: &mut T) -> Result<Option<Step>, String> {
        let spelled = match parser.next() {
            Ok(None) => return Ok(None),
            Ok(Some(Arg::Value(word))) => return self.operand(word, options).map(Some),
            Ok(Some(Arg::Long(name))) => format!("--{name}"),
            Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            Err(error) => return Err(in_words(error)),
        };
        if let Some(text) = self.printed(&spelled) {
            return Ok(Some(Step::Print(text)));
        }
        let Some(flag) = self.flags().find(|flag| is_spelled(&flag.info, &spelled)) else {
            return Err(self.unknown(&spelled));
        };
        self.flag(flag, &spelled, parser, options).map(Some)
    }

    fn flags(&self) -> impl Iterator<Item = &'static Flag<T>> {
        self.command.groups.iter().flat_map(|group| group.flags)
    }

    fn operand(&self, word: OsString, options: &mut T) -> Result<Step, String> {
        let Some(operands) = &self.command.operands else {
            let (name, sub) = self.names();
            let word = shown(&word);
            let advice = self.swallowed.take().unwrap_or_else(|| format!("{name} {sub} --help lists them"));
            return Err(format!("\"{word}\": {name} {sub} takes flags only; {advice}"));
        };
        (operands.set)(options, word).map(|()| Step::Taken)
    }

    /// Applies a flag; a complaint gets the flag's spelling before it, here and nowhere else. A switch that was given a
    /// value is found by lexopt at the next step.
    fn flag(&self, flag: &Flag<T>, spelled: &str, parser: &mut Parser, options: &mut T) -> Result<Step, String> {
        if let Set::Switch(set) = flag.set {
            set(options);
            return Ok(Step::Taken);
        }
        let Ok(value) = parser.value() else {
            let metavar = flag.info.metavar.unwrap_or("VALUE");
            return Err(format!("{spelled}: no {metavar} behind it"));
        };
        if let Some(taken) = value.to_str().filter(|word| self.flags().any(|flag| is_spelled(&flag.info, word))) {
            let metavar = flag.info.metavar.unwrap_or("VALUE");
            self.swallowed.set(Some(format!("{spelled} has taken {taken} for its {metavar}")));
        }
        // Whoever writes `--max-line --help` asks what to write there.
        let asked = value.to_str().and_then(|word| self.printed(word));
        match (flag.set.take(options, value), asked) {
            (Ok(()), _) => Ok(Step::Taken),
            (Err(_), Some(text)) => Ok(Step::Print(text)),
            (Err(complaint), None) => Err(format!("{spelled}: {complaint}")),
        }
    }

    /// What `spelled` prints, when it is one of the flags that print and end the run.
    fn printed(&self, spelled: &str) -> Option<String> {
        match spelled {
            "-h" => Some(help::short(self.program, &self.command.page())),
            "--help" => Some(help::long(self.program, &self.command.page())),
            "--version" => Some(self.program.version_line()),
            _ => None,
        }
    }

    /// What a flag behind the first error prints. What was attached to the wrong flag goes with it.
    fn printed_behind(&self, parser: &mut Parser) -> Option<String> {
        let _ = parser.optional_value();
        loop {
            let spelled = match parser.next() {
                Ok(None) => return None,
                Ok(Some(Arg::Value(_))) | Err(_) => continue,
                Ok(Some(Arg::Long(name))) => format!("--{name}"),
                Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            };
            if let Some(text) = self.printed(&spelled) {
                return Some(text);
            }
            match self.flags().find(|flag| is_spelled(&flag.info, &spelled)) {
                Some(flag) if flag.info.metavar.is_some() => drop(parser.value()),
                Some(_) => {}
                None => drop(parser.optional_value()),
            }
        }
    }

    fn unknown(&self, spelled: &str) -> String {
        let (name, sub) = self.names();
        let infos = || self.flags().map(|flag| flag.info).chain([HELP, VERSION]);
        let near = match spelled.strip_prefix("--") {
            Some(long) => suggest(long, infos().map(|info| info.long)).map(|long| format!("--{long}")),
            None => infos()
                .filter_map(|info| info.short.map(|letter| format!("-{letter}")))
                .find(|short| short.eq_ignore_ascii_case(spelled)),
        };
        let spelled = shown(spelled);
        match near {
            Some(near) => format!("{spelled}: no such flag; did you mean {near}?"),
            None => format!(
                "{spelled}: no such flag; {name} {sub} --help lists them, and a word that begins with - but is none \
                 goes behind --"
            ),
        }
    }

    fn names(&self) -> (&'static str, &'static str) {
        (self.program.about.name, self.command.about.name)
    }
}

impl<T> Set<T> {
    /// Gives a value to the setter. A switch has none to take.
    fn take(&self, options: &mut T, value: OsString) -> Result<(), String> {
        match self {
            Set::Switch(set) => set(options),
            Set::Value(set) => return set(options, value),
            Set::Choice(words, set) => match words.iter().find(|word| value == **word) {
                Some(word) => set(options, word),
                None => return Err(not_among(&shown(&value), words)),
            },
        }
        Ok(())
    }
}

fn is_spelled(info: &FlagInfo, spelled: &str) -> bool {
    info.spellings().any(|spelling| spelling == spelled)
}

/// An error of lexopt's as a complaint. Only a switch with a value comes here; a missing value is said with its name.
fn in_words(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, value } => {
            let (option, value) = (shown(option), shown(value));
            format!("{option}: takes no value, but has \"{value}\"")
        }
        other => shown(other.to_string()),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
