//! Renders the man pages from the tables as mdoc. The test rewrites a page that is not up to date and fails, so
//! that running it again and committing updates the page. If `CI` is set, it only fails.
//!
//! A page depends only on the tables. Options and examples keep their ASCII dashes and quotes for copying.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::PROGRAM;
use crate::cli::{Command, Flag, Group, Help, PROGRAM_FLAGS, Program, Rule, Span, capitalized, exits, spans};

/// The date of the release, so that a page changes only if its text does.
const DATE: &str = "November 21, 2026";

/// A literal longer than this, in characters, may be broken across lines.
const UNBROKEN_CHARS_MAX: usize = 40;

/// A placeholder for a space at which no line is broken.
const GLUE: char = '\u{a0}';

/// Every rendered man page: file name and text.
fn rendered() -> Vec<(String, String)> {
    let name = PROGRAM.help.name;
    let mut pages = vec![(format!("{name}.1"), program_page(&PROGRAM))];
    for page in PROGRAM.subcommands {
        pages.push((format!("{name}-{}.1", page.help.name), subcommand_page(&PROGRAM, page)));
    }
    pages
}

fn man_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

#[test]
fn man_pages_are_generated_from_the_option_tables() {
    let mut stale = Vec::new();
    for (name, text) in rendered() {
        let path = man_folder().join(&name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if std::env::var_os("CI").is_none() {
            std::fs::write(&path, text).unwrap();
        }
        stale.push(name);
    }
    assert!(stale.is_empty(), "stale, and rewritten unless CI is set: {}; run again and commit", stale.join(", "));
}

#[test]
fn man_pages_exist_only_for_existing_subcommands() {
    let known: Vec<String> = rendered().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(man_folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".1") || known.contains(&name), "{name} belongs to no subcommand");
    }
}

/// The page of a subcommand, section 1: `backbox-encode.1`.
fn subcommand_page(program: &Program, command: &Command) -> String {
    let (name, sub) = (program.help.name, command.help.name);
    let mut out = head(program, &format!("{name}-{sub}"), &command.help);
    synopsis(&mut out, &format!("{name} {sub}"), &command.help);
    description(&mut out, &command.help);
    heading(&mut out, "Sh", "Options");
    for Group { title, flags } in command.groups {
        heading(&mut out, "Ss", title);
        list(&mut out, flags.iter().map(|flag| item(flag, &command.help, command.rules)));
    }
    end(&mut out, &command.help, &[(name.to_owned(), 1)]);
    out
}

/// The page of the program, section 1: `backbox.1`.
fn program_page(program: &Program) -> String {
    let help = &program.help;
    let mut out = head(program, help.name, help);
    synopsis(&mut out, help.name, help);
    description(&mut out, help);
    let pages = program.subcommands;
    heading(&mut out, "Ss", "Subcommands");
    list(
        &mut out,
        pages.iter().map(|command| {
            let help = &command.help;
            let text = roff_lines(&format!("{}.", capitalized(help.summary)));
            (format!("Cm {}", roff_literal(help.name)), text)
        }),
    );
    heading(&mut out, "Sh", "Options");
    list(&mut out, PROGRAM_FLAGS.iter().map(|flag| item(flag, help, &[])));
    let subpages = pages.iter();
    let subpages = subpages.map(|command| (format!("{}-{}", help.name, command.help.name), 1));
    end(&mut out, help, &subpages.collect::<Vec<_>>());
    out
}

fn head(program: &Program, title: &str, help: &Help) -> String {
    let note = format!(".\\\" Rendered from the option tables of {} {}.\n", program.help.name, program.version);
    format!(
        "{note}.Dd {}\n.Dt {} 1\n.Os\n.Sh NAME\n.Nm {title}\n.Nd {}\n",
        DATE,
        title.to_uppercase(),
        quoted(&roff(help.summary))
    )
}

fn synopsis(out: &mut String, name: &str, help: &Help) {
    heading(out, "Sh", "Synopsis");
    for form in help.synopsis {
        *out += &format!(".Nm {name}\n{}", roff_lines(form));
    }
}

fn description(out: &mut String, help: &Help) {
    heading(out, "Sh", "Description");
    paragraphs(out, &help.section(""));
    let arguments = help.entries("Arguments");
    if !arguments.is_empty() {
        *out += ".Pp\nThe arguments are as follows.\n";
        list(out, arguments.iter().map(|(term, text)| (quoted(&roff(term)), roff_lines(text))));
    }
    let examples = help.entries("Examples");
    if !examples.is_empty() {
        heading(out, "Ss", "Examples");
    }
    for (index, (line, text)) in examples.iter().enumerate() {
        if index > 0 {
            *out += ".Pp\n";
        }
        *out += &roff_lines(text);
        *out += ".Bd -literal -offset indent\n";
        for line in line.lines() {
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            *out += &format!("{guard}{}\n", roff_literal(line));
        }
        *out += ".Ed\n";
    }
}

/// The sections after the options: further sections, exit statuses, other pages.
fn end(out: &mut String, help: &Help, further: &[(String, u8)]) {
    for (title, texts) in help.further_sections() {
        heading(out, "Sh", title);
        paragraphs(out, &texts);
    }
    heading(out, "Sh", "Exit status");
    let row = |(code, text): (String, String)| (code, roff_lines(&format!("{}.", capitalized(&text))));
    list(out, exits(help).into_iter().map(row));
    see_also(out, help, further);
}

fn see_also(out: &mut String, help: &Help, further: &[(String, u8)]) {
    let named = help.see_also.iter();
    let mut pages: Vec<(u8, String)> = named
        .map(|(name, section)| (*section, (*name).to_owned()))
        .chain(further.iter().map(|(name, section)| (*section, name.clone())))
        .collect();
    pages.sort();
    pages.dedup();
    let references: Vec<String> = pages
        .iter()
        .map(|(section, name)| format!(".Xr {} {section}", roff_literal(name).replace("\\-", "-")))
        .collect();
    heading(out, "Sh", "See also");
    *out += &references.join(" ,\n");
    *out += "\n";
}

fn heading(out: &mut String, macro_name: &str, title: &str) {
    let title = match macro_name {
        "Sh" => title.to_uppercase(),
        _ => title.to_owned(),
    };
    *out += &format!(".{macro_name} {}\n", quoted(&roff(&title)));
}

fn paragraphs(out: &mut String, texts: &[&str]) {
    let texts: Vec<String> = texts.iter().map(|text| roff_lines(text)).collect();
    *out += &texts.join(".Pp\n");
}

/// A list of terms with their texts; each term is the rendered rest of an `.It` line.
fn list(out: &mut String, items: impl Iterator<Item = (String, String)>) {
    *out += ".Bl -tag -width Ds\n";
    for (term, text) in items {
        *out += &format!(".It {term}\n{text}");
    }
    *out += ".El\n";
}

/// An option: `Fl b , Fl \-bytes Ar FILE`.
fn item(flag: &Flag, page: &Help, rules: &[Rule]) -> (String, String) {
    let mut term = String::new();
    if let Some(letter) = flag.short {
        let _ = write!(term, "Fl {} , ", roff_literal(&letter.to_string()));
    }
    let _ = write!(term, "Fl \\-{}", roff_literal(flag.long));
    if let Some(metavar) = flag.value {
        let _ = write!(term, " Ar {}", quoted(&roff_literal(metavar)));
    }
    (term, roff_lines(&flag.sentences(page, rules)))
}

/// Quotes an argument of a macro that would otherwise be read as a macro, such as `No`.
fn quoted(text: &str) -> String {
    match text.contains(' ') {
        true => format!("\"{text}\""),
        false if text.len() < 4 => format!("\\&{text}"),
        false => text.to_owned(),
    }
}

/// The text as roff with fonts and escapes, in one line; [`roff_lines`] splits it.
fn roff(text: &str) -> String {
    let mut out = String::new();
    for span in spans(text) {
        match span {
            Span::Plain(text) => escape(text, false, &mut out),
            Span::Literal(text) => {
                out.push_str("\\fB");
                escape(&glued(text, GLUE), true, &mut out);
                out.push_str("\\fR");
            }
            Span::Argument(text) => {
                out.push_str("\\fI");
                escape(text, true, &mut out);
                out.push_str("\\fR");
            }
        }
    }
    out
}

/// Literal text as roff: the formatter changes no character, so that it can be copied from the page.
fn roff_literal(text: &str) -> String {
    let mut out = String::new();
    escape(text, true, &mut out);
    out
}

/// A paragraph as source lines: each sentence begins a line, and no line begins with a roff request.
fn roff_lines(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in roff(text).split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().map_or("", |line| line.as_str());
        if !line.is_empty() && (ends_sentence(line) || line.len() + word.len() > 78) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            } else if word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

fn glued(literal: &str, glue: char) -> String {
    if literal.chars().count() > UNBROKEN_CHARS_MAX {
        return literal.to_owned();
    }
    literal.replace(' ', &glue.to_string())
}

fn ends_sentence(line: &str) -> bool {
    let bare = line.trim_end_matches("\\fR").trim_end_matches([')', '"', '\'']);
    bare.ends_with(['.', '!', '?']) && !bare.ends_with("..")
}

/// Escapes text for roff. A dash in literal text must stay an ASCII dash, which is `\-`; so must one that
/// begins a word, because that is an option even if it is not marked.
fn escape(text: &str, literal: bool, out: &mut String) {
    let mut begins = out.is_empty() || out.ends_with([' ', '-']);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\e"),
            '-' if literal || begins => out.push_str("\\-"),
            '\'' if literal => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            GLUE => out.push_str("\\ "),
            '\n' => out.push(' '),
            _ if letter.is_ascii() => out.push(letter),
            _ => out.push_str(&format!("\\[u{:04X}]", u32::from(letter))),
        }
        begins = matches!(letter, ' ' | '\n' | '(' | '[') || (begins && letter == '-');
    }
}

#[test]
fn roff_keeps_literal_text() {
    assert_eq!(roff("`--max-line` of read-only *MAX-N*"), "\\fB\\-\\-max\\-line\\fR of read-only \\fIMAX\\-N\\fR");
    assert_eq!(roff("say --quiet (-q): \\ \"é\""), "say \\-\\-quiet (\\-q): \\e \\(dq\\[u00E9]\\(dq");
    assert_eq!(roff_literal("$'\\t' ~^`"), "$\\(aq\\et\\(aq \\(ti\\(ha\\(ga");
}

#[test]
fn roff_lines_begin_with_sentences_and_never_with_a_request() {
    assert_eq!(roff_lines(".bcp files. 'Tis one. See `a b`."), "\\&.bcp files.\n\\&'Tis one.\nSee \\fBa\\ b\\fR.\n");
    for line in roff_lines(&"a .b 'c ".repeat(60)).lines() {
        assert!(!line.starts_with(['.', '\'']), "{line}");
    }
}

#[test]
fn words_that_look_like_macros_are_escaped() {
    assert_eq!(quoted("No"), "\\&No");
    assert_eq!(quoted("No output"), "\"No output\"");
    assert_eq!(quoted("Output"), "Output");
}
