//! Help for a terminal: a short one with the common options, which fits a screen, and a long one with everything.
//!
//! Lines have at most 80 columns. Headings are bold; who prints the text elsewhere than on a terminal removes
//! [`BOLD`] and [`PLAIN`].

use super::command::{Command, Help, PROGRAM_FLAGS, Program};
use super::flags::{Flag, Group};
use crate::exit::Exit;

/// Before a heading.
pub const BOLD: &str = "\x1b[1m";

/// After a heading.
pub const PLAIN: &str = "\x1b[0m";

/// The widest line, in characters: a terminal's usual width.
const COLUMNS_MAX: usize = 80;

/// Where the explanations of the short help begin at the latest; a longer option has its explanation on the next line.
const EXPLANATION_COLUMN_MAX: usize = 30;

/// How far the long help indents what it says about a term.
const INDENT: usize = 8;

/// A literal longer than this, in characters, may be broken across lines: kept whole it would leave a ragged hole.
const UNBROKEN_CHARS_MAX: usize = 40;

/// Stands for a space at which no line is broken, until the text is laid out.
const GLUE: char = '\u{a0}';

/// `backbox encode -h`: how to use it, and the common options.
pub(super) fn short(program: &Program, command: &Command) -> String {
    let name = format!("{} {}", program.help.name, command.help.name);
    let common = command.flags().filter(|flag| flag.common);
    let mut out = opening(&name, &command.help) + &heading("Common options") + &columns(common.map(row));
    if command.flags().any(|flag| !flag.common) {
        out += &format!("\nAll options: {name} --help\n");
    }
    out
}

/// `backbox encode --help`: everything that the man page has.
pub(super) fn long(program: &Program, command: &Command) -> String {
    let help = &command.help;
    let mut out = opening(&format!("{} {}", program.help.name, help.name), help) + &paragraphs(&help.section(""));
    out += &examples(help);
    let arguments = help.entries("Arguments");
    if !arguments.is_empty() {
        out += &heading("Arguments");
        out.extend(arguments.iter().map(|(term, text)| entry(&plain(term), text)));
    }
    for Group { title, flags } in command.groups {
        out += &heading(title);
        out.extend(flags.iter().map(|flag| entry(row(flag).0.trim_start(), &flag.sentences(help, command.rules))));
    }
    out + &end(help)
}

/// `backbox -h`: the subcommands, a line each.
pub(super) fn program_short(program: &Program) -> String {
    let name = program.help.name;
    opening(name, &program.help) + &lists(program) + &format!("\nOptions of a subcommand: {name} SUBCOMMAND -h\n")
}

/// `backbox --help`: the program as a whole.
pub(super) fn program_long(program: &Program) -> String {
    let help = &program.help;
    opening(help.name, help) + &paragraphs(&help.section("")) + &examples(help) + &lists(program) + &end(help)
}

/// The exit statuses of a subcommand, and that of signals, which all have; with their meaning.
pub(crate) fn exits(help: &Help) -> Vec<(String, String)> {
    let meanings = Exit::MEANINGS.iter().filter(|(exit, _)| help.exits.contains(exit));
    let rows = meanings.map(|(exit, meaning)| (exit.code().to_string(), (*meaning).to_owned()));
    rows.chain([("128+n".to_owned(), "ended by signal number n".to_owned())]).collect()
}

/// What it does and how it is used.
fn opening(name: &str, help: &Help) -> String {
    let mut out = format!("{}\n", wrapped(&plain(&capitalized(help.summary)), 0));
    let mut head = format!("\n{BOLD}Usage:{PLAIN}");
    for form in help.synopsis {
        let (usage, indent) = (plain(form), "Usage:  ".len() + name.len());
        out += &format!("{head} {name} {}\n", wrapped(&usage, indent).trim_start());
        "      ".clone_into(&mut head);
    }
    out
}

fn heading(title: &str) -> String {
    format!("\n{BOLD}{title}:{PLAIN}\n")
}

fn paragraphs(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("\n{}\n", wrapped(&plain(text), 0))).collect()
}

fn examples(help: &Help) -> String {
    let examples = help.entries("Examples");
    if examples.is_empty() {
        return String::new();
    }
    examples.iter().fold(heading("Examples"), |out, (line, text)| out + &entry(line, text))
}

/// The subcommands and the program's own options.
fn lists(program: &Program) -> String {
    let subcommands = program.subcommands.iter().map(|command| &command.help);
    let rows = subcommands.map(|help| (help.name.to_owned(), capitalized(help.summary)));
    heading("Subcommands") + &columns(rows) + &heading("Options") + &columns(PROGRAM_FLAGS.iter().map(row))
}

/// What follows the options in the long help.
fn end(help: &Help) -> String {
    let mut out = String::new();
    for (title, texts) in help.further_sections() {
        out += &heading(title);
        out += paragraphs(&texts).trim_start_matches('\n');
    }
    out += &heading("Exit status");
    out += &columns(exits(help).into_iter());
    let pages: Vec<String> = help.see_also.iter().map(|(name, section)| format!("{name}({section})")).collect();
    if !pages.is_empty() {
        out += &format!("\nSee also: {}\n", pages.join(", "));
    }
    out
}

/// An option's names, aligned whether there is a letter or not, and its line in the short help.
fn row(flag: &Flag) -> (String, String) {
    let short = flag.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let value = flag.value.map_or(String::new(), |value| format!(" {value}"));
    let default = if flag.default.is_empty() { String::new() } else { format!(" [default: {}]", flag.default) };
    (format!("{short}--{}{value}", flag.long), format!("{}{default}", flag.help))
}

/// A term, and below it what there is to say.
fn entry(term: &str, text: &str) -> String {
    let term = term.replace(GLUE, " ").replace('\n', "\n  ");
    format!("  {term}\n{}\n", wrapped(&plain(text), INDENT))
}

/// Terms on the left, explanations on the right.
fn columns(rows: impl Iterator<Item = (String, String)>) -> String {
    let rows: Vec<_> = rows.collect();
    let widths = rows.iter().map(|(term, _)| term.chars().count() + 4);
    let column = widths.filter(|width| *width <= EXPLANATION_COLUMN_MAX).max().unwrap_or(4);
    let mut out = String::new();
    for (term, text) in rows {
        let text = wrapped(&plain(&text), column);
        match term.chars().count() + 4 <= column {
            true => out += &format!("  {term:<0$}{1}\n", column - 2, text.trim_start()),
            false => out += &format!("  {term}\n{text}\n"),
        }
    }
    out
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A text without marks broken into lines that fit, where words allow it, each after `indent` spaces.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= COLUMNS_MAX {
            out.push(' ');
            column += 1 + length;
        } else {
            out += if column > 0 { "\n" } else { "" };
            out += &" ".repeat(indent);
            column = indent + length;
        }
        out += word;
    }
    out.replace(GLUE, " ")
}

/// A stretch of a table's text: plain, `` `literal` `` (typed or shown as it stands) or `*ARGUMENT*` (stands for
/// something).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'a> {
    Plain(&'a str),
    Literal(&'a str),
    Argument(&'a str),
}

/// The text for a terminal, without marks; spaces of short literals are glued until it is laid out.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for span in spans(text) {
        match span {
            Span::Literal(text) if text.chars().count() <= UNBROKEN_CHARS_MAX => {
                out.extend(text.chars().map(|letter| if letter == ' ' { GLUE } else { letter }));
            }
            Span::Plain(text) | Span::Argument(text) | Span::Literal(text) => out += text,
        }
    }
    out
}

/// A star or backtick that opens nothing is itself: a star opens an argument only when a letter follows it and another
/// star ends the word.
pub(crate) fn spans(text: &str) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let (mut rest, mut searched) = (text, 0);
    while let Some(found) = rest[searched..].find(['`', '*']).map(|place| place + searched) {
        let (before, marked) = rest.split_at(found);
        match opened(marked) {
            Some((span, after)) => {
                spans.extend((!before.is_empty()).then_some(Span::Plain(before)));
                spans.push(span);
                (rest, searched) = (after, 0);
            }
            None => searched = found + 1,
        }
    }
    spans.extend((!rest.is_empty()).then_some(Span::Plain(rest)));
    spans
}

/// The span that begins at the mark which begins `marked`, and what comes after it.
fn opened(marked: &str) -> Option<(Span<'_>, &str)> {
    if let Some(inner) = marked.strip_prefix('`') {
        return inner.split_once('`').map(|(literal, after)| (Span::Literal(literal), after));
    }
    let (argument, after) = marked.strip_prefix('*')?.split_once('*')?;
    let word = argument.starts_with(char::is_alphabetic) && !argument.contains([' ', '\n', '`']);
    word.then_some((Span::Argument(argument), after))
}

#[cfg(test)]
#[path = "help_tests.rs"]
mod tests;
