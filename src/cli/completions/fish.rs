//! Completions for fish: one `complete` line for each thing that can stand somewhere.

use super::super::command::Subcommand;
use super::super::flags::{Complete, Flag};
use super::super::markup::line;
use super::super::program::FLAGS;
use super::{first_words, operands};

/// The questions that the lines ask about what is typed; `PROG` is the program's name.
const HEAD: &str = r##"# fish completion for PROG; to load it: PROG --completions fish | source

# Is the subcommand still to come?
function __PROG_first
    set -l words (commandline -opc)
    test (count $words) -eq 1; or test "$words[2..-1]" = --completions
end

# Is this the subcommand?
function __PROG_at
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test $words[2] = $argv[1]
end

# Does one of these words stand behind the subcommand?
function __PROG_has
    set -l words (commandline -opc)
    set -e words[1]
    set -e words[1]
    for word in $argv
        contains -- $word $words; and return 0
    end
    return 1
end

complete -c PROG -f
"##;

/// The whole script.
pub(super) fn script(name: &str, pages: &[&dyn Subcommand]) -> String {
    let mut out = HEAD.replace("PROG", name);
    let first = format!("complete -c {name} -n __{name}_first");
    for (word, summary) in first_words(pages) {
        out += &format!("{first} -a {word} -d {}\n", quoted(&line(summary)));
    }
    for info in &FLAGS {
        out += &format!("{first} {}\n", flag(info));
    }
    let names: Vec<&str> = pages.iter().map(|page| page.help().name).collect();
    let at = |sub: &str| format!("complete -c {name} -n '__{name}_at {sub}'");
    out += &format!("{} -a {}\n", at("help"), quoted(&names.join(" ")));
    for page in pages {
        out.push('\n');
        let at = at(page.help().name);
        for info in page.flags().into_iter() {
            out += &format!("{at} {}\n", flag(&info));
        }
        out += &positionals(name, *page, &at);
    }
    out
}

fn positionals(name: &str, page: &dyn Subcommand, at: &str) -> String {
    match operands(page) {
        Complete::Nothing => String::new(),
        Complete::File => format!("{at} -F\n"),
        Complete::Keyed(table) => {
            let table = table();
            let sub = page.help().name;
            let line = |condition: &str, words: Vec<String>| {
                let condition = format!("__{name}_at {sub}; and {condition}");
                format!("complete -c {name} -n {} -a {}\n", quoted(&condition), list(words))
            };
            let keys: Vec<String> = table.iter().map(|(key, _)| key.clone()).collect();
            let known: String = keys.iter().map(|key| format!(" {}", quoted(key))).collect();
            let mut out = line(&format!("not __{name}_has{known}"), keys);
            for (key, words) in table {
                out += &line(&format!("__{name}_has {}", quoted(&key)), words);
            }
            out
        }
        complete => format!("{at} -a {}\n", list(complete.words().unwrap_or_default())),
    }
}

/// The part of a `complete` line that says what a flag is and takes.
fn flag(info: &Flag) -> String {
    let short = info.short.map_or(String::new(), |letter| format!("-s {letter} "));
    let value = match (info.value, info.complete) {
        (None, _) => String::new(),
        (Some(_), Complete::File) => "-r -F ".to_owned(),
        (Some(_), complete) => match complete.words() {
            Some(words) => format!("-x -a {} ", list(words)),
            None => "-x ".to_owned(),
        },
    };
    format!("{short}-l {} {value}-d {}", info.long, quoted(&line(info.help)))
}

/// Words as `-a` takes them: fish reads that text once more when it completes.
fn list(words: Vec<String>) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted_if_needed(word)).collect();
    quoted(&words.join(" "))
}

fn quoted_if_needed(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => quoted(word),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
