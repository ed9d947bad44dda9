//! Help for a terminal: a short one that fits a screen, and a long one with everything. Plain text of at most 80
//! columns.

use super::command::{Help, Program, Subcommand, groups};
use super::flags::Flag;
use super::markup::{line, plain, wrapped};
use super::program::FLAGS;
use crate::exit::Exit;

/// The widest line, in characters: the terminal that everyone has.
pub const COLUMNS_MAX: usize = 80;

/// Where the short help's explanations may begin at the latest; a longer flag has its explanation on the next line.
const EXPLANATION_COLUMN_MAX: usize = 28;

/// How far the long help indents what it says about a term.
const INDENT: usize = 8;

/// `backbox encode -h`: the ways to use it and a line for each flag.
pub fn short(program: &Program, page: &dyn Subcommand) -> String {
    let name = full_name(program, page);
    let mut out = format!("{}\n\n", line(&format!("{name}: {}", page.help().summary)));
    out += &usage(&name, page.help());
    let rows = |flags: &[Flag]| flags.iter().map(in_columns).collect::<Vec<_>>();
    let all: Vec<_> = page.flags().iter().map(in_columns).collect();
    let column = column(&all);
    for (title, flags) in &groups(&page.flags()) {
        out += &format!("\n{title}\n");
        out += &columns_at(column, &rows(flags));
    }
    out + &format!("\n{name} --help says more.\n")
}

/// `backbox encode --help`: everything that the man page has.
pub fn long(program: &Program, page: &dyn Subcommand) -> String {
    let name = full_name(program, page);
    let mut out = format!("{}\n\n", line(&format!("{name}: {}", page.help().summary)));
    out += &usage(&name, page.help());
    out += &paragraphs(page.help().description);
    out += &arguments(page.help());
    for (title, flags) in &groups(&page.flags()) {
        out += &format!("\n{title}\n");
        out += &flags.iter().map(entry).collect::<String>();
    }
    out + &end(page.help())
}

/// `backbox -h`: the subcommands, a line each.
pub fn program_short(program: &Program) -> String {
    let about = &program.help;
    let name = about.name;
    let mut out = format!("{}\n\n", line(&format!("{name}: {}", about.summary)));
    out += &usage(name, about);
    out += &subcommands(program);
    out += "\nFlags\n";
    out += &columns(&FLAGS.iter().map(in_columns).collect::<Vec<_>>());
    out + &format!("\n{name} SUBCOMMAND -h lists the flags of a subcommand.\n")
}

/// `backbox --help`: the program as a whole.
pub fn program_long(program: &Program) -> String {
    let about = &program.help;
    let mut out = format!("{}\n\n", line(&format!("{}: {}", about.name, about.summary)));
    out += &usage(about.name, about);
    out += &paragraphs(about.description);
    out += &arguments(about);
    out += &subcommands(program);
    out += "\nFlags\n";
    out += &FLAGS.iter().map(entry).collect::<String>();
    out + &end(about)
}

/// What is printed and put on man pages for the statuses that `about` names, and for the signals, which all have.
pub(super) fn exits(about: &Help) -> Vec<(String, String)> {
    let mut rows: Vec<_> = Exit::MEANINGS
        .iter()
        .filter(|(exit, _)| about.exits.contains(exit))
        .map(|(exit, meaning)| (exit.code().to_string(), (*meaning).to_owned()))
        .collect();
    rows.push(("128+n".to_owned(), "ended by signal number n".to_owned()));
    rows
}

fn full_name(program: &Program, page: &dyn Subcommand) -> String {
    format!("{} {}", program.help.name, page.help().name)
}

fn usage(name: &str, about: &Help) -> String {
    let mut out = String::new();
    for (index, form) in about.synopsis.iter().enumerate() {
        let head = if index == 0 { "Usage:" } else { "      " };
        out += &hanging(&format!("{head} {name} "), &plain(form));
    }
    out
}

/// A text whose first line stands behind `head` and whose others are indented as far.
fn hanging(head: &str, text: &str) -> String {
    let indent = head.chars().count();
    let text = wrapped(text, indent, COLUMNS_MAX);
    let text = text.strip_prefix(&" ".repeat(indent)).unwrap_or(&text);
    format!("{head}{text}\n")
}

fn paragraphs(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("\n{}\n", wrapped(&plain(text), 0, COLUMNS_MAX))).collect()
}

fn arguments(about: &Help) -> String {
    if about.arguments.is_empty() {
        return String::new();
    }
    let terms = about.arguments.iter();
    let entries = terms.map(|(term, text)| under(&line(term), text));
    format!("\nArguments\n{}", entries.collect::<String>())
}

fn subcommands(program: &Program) -> String {
    let row = |page: &&dyn Subcommand| (page.help().name.to_owned(), page.help().summary.to_owned());
    let rows: Vec<_> = program.subcommands.iter().map(row).collect();
    format!("\nSubcommands\n{}", columns(&rows))
}

/// What stands behind the flags in the long help.
fn end(about: &Help) -> String {
    let mut out = String::new();
    for section in about.sections {
        out += &format!("\n{}\n", section.title);
        out += paragraphs(section.paragraphs).trim_start_matches('\n');
    }
    out += "\nExit status\n";
    out += &columns(&exits(about));
    if !about.examples.is_empty() {
        out += "\nExamples\n";
    }
    for example in about.examples {
        out += &under(example.line, example.text);
    }
    if !about.see_also.is_empty() {
        let pages = about.see_also.iter();
        let pages: Vec<_> = pages.map(|(name, section)| format!("{name}({section})")).collect();
        out += &format!("\nSee also: {}\n", pages.join(", "));
    }
    out
}

/// A flag in the long help.
fn entry(info: &Flag) -> String {
    let (names, _) = in_columns(info);
    under(names.trim_start(), &info.sentences())
}

/// A term, and below it what there is to say.
fn under(term: &str, text: &str) -> String {
    format!("  {term}\n{}\n", wrapped(&plain(text), INDENT, COLUMNS_MAX))
}

/// A flag's names, aligned whether there is a letter or not, and its explanation.
fn in_columns(info: &Flag) -> (String, String) {
    let short = info.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let value = info.value.map_or(String::new(), |metavar| format!(" {metavar}"));
    (format!("{short}--{}{value}", info.long), info.help.to_owned())
}

/// Terms on the left, explanations on the right.
fn columns(rows: &[(String, String)]) -> String {
    columns_at(column(rows), rows)
}

/// Where the explanations of these terms begin: behind the longest that leaves them room.
fn column(rows: &[(String, String)]) -> usize {
    let widths = rows.iter().map(|(term, _)| columns_taken(term));
    let fitting = widths.filter(|width| *width <= EXPLANATION_COLUMN_MAX);
    fitting.max().unwrap_or(4)
}

/// A term with the blanks before and behind it.
fn columns_taken(term: &str) -> usize {
    term.chars().count() + 4
}

fn columns_at(column: usize, rows: &[(String, String)]) -> String {
    let mut out = String::new();
    for (term, text) in rows {
        let text = plain(text);
        if columns_taken(term) <= column {
            let width = column.saturating_sub(2);
            out += &hanging(&format!("  {term:<width$}"), &text);
        } else {
            out += &format!("  {term}\n{}\n", wrapped(&text, column, COLUMNS_MAX));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::toy::{COUNT, PROGRAM};
    use super::*;

    #[test]
    fn short_help_has_a_line_for_each_flag() {
        let expected = "\
toy count: count what is read

Usage: toy count [FLAG]... [WORD]...
       toy count -s [STRING]...

Input
  -b, --bytes FILE       Read the payload from FILE
      --max-line BYTES   Refuse longer lines
      --fail-fast        Stop at the first error

Output
  -s, --string           Count strings [not lines]
  -0, --null             It's NUL that ends them
  -F, --format TEMPLATE  Print it like this: x
  -q, --quiet            Print no notes
      --color WHEN       When to colour

General
  -h, --help             Print help; -h prints the common options
  -V, --version          Print the version

toy count --help says more.
";
        assert_eq!(short(&PROGRAM, &COUNT), expected);
    }

    #[test]
    fn long_help_has_everything_in_the_table() {
        let text = long(&PROGRAM, &COUNT);
        for part in [
            "toy count: count what is read\n",
            "\n.profile isn't read; a \\ is itself.\n",
            "\nArguments\n  NAME=TEXT\n        a parameter that is the text\n",
            "\n  -b, --bytes FILE\n        Read the payload from FILE. A - is stdin. May be repeated.\n",
            "\n  --color WHEN\n        When to colour. WHEN is one of auto, always, never.\n",
            "\nNotes\nA pattern* keeps its star.\n",
            "\nExit status\n  0      done: ",
            "\n  2      wrong flags",
            "\n  128+n  ended by",
            "\nExamples\n  toy count -F '{name}\\t' -- -x\n        Counts -x.\n",
            "\nSee also: bcp(7)\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains("124"), "a status that cannot come is not listed");
    }

    #[test]
    fn the_program_lists_its_subcommands() {
        let expected = "\
toy: count and press things

Usage: toy SUBCOMMAND [FLAG]... [WORD]...

Subcommands
  press  press a button that isn't there: *
  count  count what is read

Flags
  -h, --help               Print help; -h prints the common options
  -V, --version            Print the version
      --completions SHELL  Print the completions for a shell

toy SUBCOMMAND -h lists the flags of a subcommand.
";
        assert_eq!(program_short(&PROGRAM), expected);
        let text = program_long(&PROGRAM);
        assert!(text.contains("\nA toy. Its flags are read by toy count -h and by you.\n"));
        assert!(text.contains("\n  count  count what is read\n"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_ends_in_blanks() {
        for page in PROGRAM.subcommands {
            for text in [short(&PROGRAM, *page), long(&PROGRAM, *page), program_long(&PROGRAM)] {
                assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
                for line in text.lines() {
                    assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
                    assert_eq!(line, line.trim_end());
                }
            }
        }
    }

    #[test]
    fn long_terms_and_texts_are_laid_out_below_and_beside() {
        let row = |term: &str, text: &str| (term.to_owned(), text.to_owned());
        let rows = [row("-a", &"word ".repeat(20)), row("--a-flag-with-a-very-long-name VALUE", "text")];
        let text = columns(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("  -a  word word"), "{text}");
        assert!(lines[1].starts_with("      word"), "{text}");
        assert_eq!(lines[lines.len() - 1], "      text");
    }
}
