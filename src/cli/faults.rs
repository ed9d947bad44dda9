//! What can be wrong with a program's tables: the rules that the types do not enforce, for a test to hold them to.

use std::collections::HashMap;

use super::flags::FlagInfo;
use super::help;
use super::page::{About, Page};
use super::program::Program;

/// Every fault of the tables, a sentence each: a name given twice, a letter that means different flags in different
/// subcommands (design.md, section 8), a help line that does not fit the short help, a text with an open backtick, an
/// example that does not run the program. A test asserts that there is none.
pub fn faults(program: &Program) -> Vec<String> {
    let pages = (program.pages)();
    let mut found = prose(program.about.name, &program.about);
    let mut letters: HashMap<char, &'static str> = HashMap::new();
    let mut names: Vec<&str> = Vec::new();
    for page in &pages {
        let name = page.about.name;
        if names.contains(&name) {
            found.push(format!("{name}: there are two of this name"));
        }
        names.push(name);
        found.extend(prose(program.about.name, &page.about));
        found.extend(spelled_twice(page));
        found.extend(page.flags().flat_map(|info| flag(name, info)));
        found.extend(too_wide(program, page));
        for info in page.flags() {
            let Some(letter) = info.short else { continue };
            let first = letters.entry(letter).or_insert(info.long);
            if *first != info.long {
                found.push(format!("{name}: -{letter} is --{}, but --{first} elsewhere", info.long));
            }
        }
    }
    if names != program.names {
        found.push(format!("the pages are those of {names:?}, but the names are {:?}", program.names));
    }
    found
}

fn spelled_twice(page: &Page) -> Vec<String> {
    let mut spellings: Vec<String> = page.flags().flat_map(FlagInfo::spellings).collect();
    spellings.sort();
    let twice = spellings.windows(2).filter(|pair| pair.first() == pair.last());
    twice.map(|pair| format!("{}: two flags are {}", page.about.name, pair.join(" and "))).collect()
}

fn flag(name: &str, info: &FlagInfo) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: &str| found.push(format!("{name} --{}: {what}", info.long));
    if info.help.is_empty() || info.help.ends_with('.') {
        say("the help is a phrase without a full stop");
    }
    if !info.more.is_empty() && !info.more.ends_with('.') {
        say("what --help adds is whole sentences");
    }
    if open_mark(info.help) || open_mark(info.more) {
        say("a backtick is open");
    }
    found
}

/// The flags whose line in the short help had to be broken.
fn too_wide(program: &Program, page: &Page) -> Vec<String> {
    let short = help::short(program, page);
    let broken = |info: &&FlagInfo| {
        let start = format!("--{}", info.long);
        let line = short.lines().find(|line| line.split(' ').any(|word| word == start));
        let end = super::markup::line(info.help);
        !line.is_some_and(|line| line.ends_with(&end))
    };
    let page_name = page.about.name;
    let wide = page.flags().filter(broken);
    wide.map(|info| format!("{page_name} --{}: the help does not fit a line", info.long)).collect()
}

fn prose(program: &str, about: &About) -> Vec<String> {
    let name = about.name;
    let mut texts = vec![about.summary];
    texts.extend(about.synopsis.iter().chain(about.description));
    texts.extend(about.arguments.iter().flat_map(|(term, text)| [*term, *text]));
    texts.extend(about.sections.iter().flat_map(|section| section.paragraphs));
    texts.extend(about.examples.iter().map(|example| example.text));
    let open = texts.into_iter().filter(|text| open_mark(text));
    let mut found: Vec<String> = open.map(|text| format!("{name}: a backtick is open in: {text}")).collect();
    let strange = about.examples.iter().filter(|example| !example.line.contains(program));
    found.extend(strange.map(|example| format!("{name}: no {program} in: {}", example.line)));
    found
}

fn open_mark(text: &str) -> bool {
    text.matches('`').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::super::flags::{Flag, Group};
    use super::super::page::{Command, Example};
    use super::super::toy::{PRESS, PROGRAM, Press};
    use super::*;

    #[test]
    fn tables_in_order_have_no_faults() {
        assert_eq!(faults(&PROGRAM), [""; 0]);
    }

    #[test]
    fn each_fault_is_found() {
        const BROKEN: Command<Press> = Command {
            about: About {
                description: &["An `open mark."],
                examples: &[Example { line: "true", text: "Nothing." }],
                ..PRESS.about
            },
            groups: &[Group {
                title: "All",
                flags: &[
                    Flag::switch("loud", "make a noise.", |_: &mut Press| {}).short('q'),
                    Flag::switch("loud", "make `noise", |_: &mut Press| {}).more("so"),
                    Flag::switch(
                        "quiet",
                        "say nothing whatever happens, and go on saying nothing until the end of all",
                        |_: &mut Press| {},
                    )
                    .short('s'),
                ],
            }],
            operands: None,
        };
        let pages = || {
            let mut pages = (PROGRAM.pages)();
            pages.push(BROKEN.page());
            pages
        };
        let mut found = faults(&Program { pages, ..PROGRAM });
        found.sort();
        let expected = [
            "press --loud: a backtick is open",
            "press --loud: the help is a phrase without a full stop",
            "press --loud: what --help adds is whole sentences",
            "press --quiet: the help does not fit a line",
            "press: -q is --loud, but --quiet elsewhere",
            "press: -s is --quiet, but --string elsewhere",
            "press: a backtick is open in: An `open mark.",
            "press: no toy in: true",
            "press: there are two of this name",
            "press: two flags are --loud and --loud",
            "the pages are those of [\"press\", \"count\", \"press\"], but the names are [\"press\", \"count\"]",
        ];
        for fault in expected {
            assert!(found.iter().any(|other| other == fault), "{fault}: {found:#?}");
        }
    }
}
