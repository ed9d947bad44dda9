//! Man pages in mdoc, from the same tables as the help.
//!
//! A page depends on nothing but the tables: no clock, no environment. Whatever a reader may copy from it, flags and
//! examples, keeps its ASCII dashes and quotes.

use std::fmt::Write;

use super::command::{Help, Program, Section, Subcommand, groups};
use super::flags::Flag;
use super::help::exits;
use super::markup::{roff, roff_lines, roff_literal};
use super::program::FLAGS;

/// The page of a subcommand, section 1: `backbox-encode.1`.
pub fn page(program: &Program, page: &dyn Subcommand) -> String {
    let (name, sub) = (program.help.name, page.help().name);
    let mut out = head(program, &format!("{name}-{sub}"), page.help());
    synopsis(&mut out, &format!("{name} {sub}"), page.help());
    description(&mut out, page.help());
    heading(&mut out, "Sh", "Options");
    for (title, flags) in &groups(&page.flags()) {
        heading(&mut out, "Ss", title);
        list(&mut out, flags.iter().map(item));
    }
    end(&mut out, page.help(), &[(name.to_owned(), 1)]);
    out
}

/// The page of the program, section 1: `backbox.1`.
pub fn program(program: &Program) -> String {
    let about = &program.help;
    let mut out = head(program, about.name, about);
    synopsis(&mut out, about.name, about);
    description(&mut out, about);
    let pages = program.subcommands;
    heading(&mut out, "Ss", "Subcommands");
    list(
        &mut out,
        pages.iter().map(|page| {
            let about = page.help();
            let text = roff_lines(&format!("{}.", capitalized(about.summary)));
            (format!("Cm {}", roff_literal(about.name)), text)
        }),
    );
    heading(&mut out, "Sh", "Options");
    list(&mut out, FLAGS.iter().map(item));
    let subpages = pages.iter();
    let subpages = subpages.map(|page| (format!("{}-{}", about.name, page.help().name), 1));
    end(&mut out, about, &subpages.collect::<Vec<_>>());
    out
}

fn head(program: &Program, title: &str, about: &Help) -> String {
    let note = format!(".\\\" Rendered from the flag tables of {} {}.\n", program.help.name, program.version);
    format!(
        "{note}.Dd {}\n.Dt {} 1\n.Os\n.Sh NAME\n.Nm {title}\n.Nd {}\n",
        program.date,
        title.to_uppercase(),
        quoted(&roff(about.summary))
    )
}

fn synopsis(out: &mut String, name: &str, about: &Help) {
    heading(out, "Sh", "Synopsis");
    for form in about.synopsis {
        *out += &format!(".Nm {name}\n{}", roff_lines(form));
    }
}

fn description(out: &mut String, about: &Help) {
    heading(out, "Sh", "Description");
    paragraphs(out, about.description);
    if !about.arguments.is_empty() {
        *out += ".Pp\nThe arguments are as follows.\n";
        let terms = about.arguments.iter();
        list(out, terms.map(|(term, text)| (quoted(&roff(term)), roff_lines(text))));
    }
}

/// What stands behind the flags: sections, exit statuses, examples, further pages.
fn end(out: &mut String, about: &Help, further: &[(String, u8)]) {
    for Section { title, paragraphs: texts } in about.sections {
        heading(out, "Sh", title);
        paragraphs(out, texts);
    }
    heading(out, "Sh", "Exit status");
    let row = |(code, text): (String, String)| (code, roff_lines(&format!("{}.", capitalized(&text))));
    list(out, exits(about).into_iter().map(row));
    if !about.examples.is_empty() {
        heading(out, "Sh", "Examples");
    }
    for (index, example) in about.examples.iter().enumerate() {
        if index > 0 {
            *out += ".Pp\n";
        }
        *out += &roff_lines(example.text);
        *out += ".Bd -literal -offset indent\n";
        for line in example.line.lines() {
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            *out += &format!("{guard}{}\n", roff_literal(line));
        }
        *out += ".Ed\n";
    }
    see_also(out, about, further);
}

fn see_also(out: &mut String, about: &Help, further: &[(String, u8)]) {
    let named = about.see_also.iter();
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

/// A list of terms, each ready as the rest of an `.It` line, with what is said about it, ready too.
fn list(out: &mut String, items: impl Iterator<Item = (String, String)>) {
    *out += ".Bl -tag -width Ds\n";
    for (term, text) in items {
        *out += &format!(".It {term}\n{text}");
    }
    *out += ".El\n";
}

/// A flag: `Fl b , Fl \-bytes Ar FILE`.
fn item(info: &Flag) -> (String, String) {
    let mut term = String::new();
    if let Some(letter) = info.short {
        let _ = write!(term, "Fl {} , ", roff_literal(&letter.to_string()));
    }
    let _ = write!(term, "Fl \\-{}", roff_literal(info.long));
    if let Some(metavar) = info.value {
        let _ = write!(term, " Ar {}", quoted(&roff_literal(metavar)));
    }
    (term, roff_lines(&info.sentences()))
}

/// One argument of a macro that is never taken for a macro itself, as `No` would be.
fn quoted(text: &str) -> String {
    match text.contains(' ') {
        true => format!("\"{text}\""),
        false if text.len() < 4 => format!("\\&{text}"),
        false => text.to_owned(),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::toy::{COUNT, PRESS, PROGRAM};
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What `mandoc` with these arguments prints of a page; nothing where there is no mandoc.
    fn mandoc(args: &[&str], text: &str) -> Option<String> {
        let child = Command::new("mandoc").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            println!("skipped: there is no mandoc here");
            return None;
        };
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn mandoc_finds_no_fault() {
        let pages = [program(&PROGRAM), page(&PROGRAM, &COUNT), page(&PROGRAM, &PRESS)];
        for text in pages {
            if let Some(findings) = mandoc(&["-Tlint", "-Wwarning"], &text) {
                assert_eq!(findings, "", "{text}");
            }
        }
    }

    #[test]
    fn mandoc_would_find_a_fault() {
        let text = page(&PROGRAM, &COUNT).replace(".El\n", "");
        if let Some(findings) = mandoc(&["-Tlint", "-Wwarning"], &text) {
            assert!(findings.contains("ERROR") || findings.contains("WARNING"), "{findings}");
        }
    }

    #[test]
    fn a_page_shows_what_is_typed_as_it_is_typed() {
        let text = page(&PROGRAM, &COUNT);
        let Some(shown) = mandoc(&["-Tutf8", "-Owidth=78"], &text) else {
            return;
        };
        // Bold and underlined letters are overstruck.
        let mut bare = String::new();
        for letter in shown.chars() {
            match letter {
                '\u{8}' => drop(bare.pop()),
                _ => bare.push(letter),
            }
        }
        for part in [
            "toy-count – count what is read",
            "toy count -s [STRING]...",
            ".profile isn't read; a \\ is itself.",
            "-b, --bytes FILE\n",
            "Read the payload from FILE.  A - is stdin.  May be repeated.",
            "--max-line BYTES\n",
            "WHEN is one of auto, always, never.",
            "NAME=TEXT\n",
            "A pattern* keeps its star.",
            "toy count -F '{name}\\t' -- -x\n",
            "128+n",
            "toy(1), bcp(7)",
            "January 31, 2026",
        ] {
            assert!(bare.contains(part), "{part:?} is not in\n{bare}");
        }
    }

    #[test]
    fn words_that_are_macros_are_not_taken_for_macros() {
        assert_eq!(quoted("No"), "\\&No");
        assert_eq!(quoted("No output"), "\"No output\"");
        assert_eq!(quoted("Output"), "Output");
    }
}
