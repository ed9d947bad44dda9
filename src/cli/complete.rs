//! Completions: one for all shells, which the scripts of `--completions` call as `backbox __complete WORD...`.
//!
//! The words are those after the program's name; the last one, perhaps empty, is being typed. The first line of the
//! reply is `files` if names of files may stand there too, else `words`. Each other line is a candidate and, after a
//! tab, what it means. The completer reads the tables and opens nothing.

use super::command::{Command, PROGRAM_FLAGS, Program};
use super::flags::{Complete, Flag};
use super::help::plain;

/// The shells that `--completions` knows.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The script that makes a shell complete the program's command lines; `None` for an unknown shell.
pub(super) fn script(shell: &str) -> Option<&'static str> {
    match shell {
        "bash" => Some(include_str!("../../completions/backbox.bash")),
        "zsh" => Some(include_str!("../../completions/_backbox")),
        "fish" => Some(include_str!("../../completions/backbox.fish")),
        _ => None,
    }
}

/// What may stand at the word that is being typed.
#[derive(Default)]
struct Offer {
    files: bool,
    /// Candidates, each with what it means or nothing.
    words: Vec<(String, String)>,
}

/// The reply to the words after the program's name.
pub(super) fn complete(program: &Program, words: &[String]) -> String {
    let words = joined(words);
    let (typed, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut offer = offer(program, before, typed);
    offer.words.retain(|(word, _)| word.starts_with(typed));
    let mut out = String::from(if offer.files { "files\n" } else { "words\n" });
    for (word, meaning) in offer.words {
        let meaning = plain(&meaning).replace('\u{a0}', " ");
        out += &if meaning.is_empty() { format!("{word}\n") } else { format!("{word}\t{meaning}\n") };
    }
    out
}

/// The words as they were typed: bash cuts `--color=au` and `name=x` into three, and replaces the last of them.
fn joined(words: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut glued = false;
    for (at, word) in words.iter().enumerate() {
        let is_break = !word.is_empty() && word.bytes().all(|byte| b":=".contains(&byte));
        match joined.last_mut() {
            // The value of an option, which may follow as a word of its own too.
            Some(last) if word == "=" && last.starts_with("--") => {
                joined.extend((at + 1 == words.len()).then(String::new))
            }
            Some(last) if is_break || glued => {
                last.push_str(word);
                glued = is_break;
            }
            _ => joined.push(word.clone()),
        }
    }
    joined
}

fn offer(program: &Program, before: &[String], typed: &str) -> Offer {
    let names = program.subcommands.iter().map(|command| command.help);
    let names = names.map(|help| (help.name.to_owned(), help.summary.to_owned()));
    let Some((first, before)) = before.split_first() else {
        let help = ("help".to_owned(), "print a subcommand's help".to_owned());
        let words = names.chain([help]).chain(PROGRAM_FLAGS.iter().flat_map(spelled)).collect();
        return Offer { files: false, words };
    };
    if first == "help" {
        return Offer { files: false, words: if before.is_empty() { names.collect() } else { Vec::new() } };
    }
    if first == "--completions" {
        return values(Complete::Words(&SHELLS), "");
    }
    match program.subcommands.iter().find(|command| command.help.name == first) {
        Some(command) => argument(command, before, typed),
        None => Offer::default(),
    }
}

/// What may follow `before` as an argument of a subcommand.
fn argument(command: &Command, before: &[String], typed: &str) -> Offer {
    let flags: Vec<&Flag> = command.flags().collect();
    let mut positionals = Vec::new();
    let mut ended = false;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        let option = flags.iter().find(|flag| !ended && flag.is_spelled(word));
        match option.filter(|flag| flag.value.is_some()) {
            Some(flag) if words.next().is_none() => return values(flag.complete, ""),
            _ if word == "--" => ended = true,
            _ if ended || !word.starts_with('-') => positionals.push(word.as_str()),
            _ => {}
        }
    }
    if let Some((name, _)) = typed.split_once('=').filter(|(name, _)| !ended && name.starts_with("--")) {
        let flag = flags.iter().find(|flag| flag.value.is_some() && flag.is_spelled(name));
        return flag.map_or(Offer::default(), |flag| values(flag.complete, &format!("{name}=")));
    }
    if typed.starts_with('-') && !ended {
        return Offer { files: false, words: flags.into_iter().flat_map(spelled).collect() };
    }
    match command.words.unwrap_or(Complete::Nothing) {
        // The value of a parameter, which is not known.
        Complete::Keyed(_) if typed.contains('=') => Offer::default(),
        Complete::Keyed(table) => {
            let mut table = table();
            let known = table.iter().position(|(key, _)| positionals.contains(&key.as_str()));
            let words = match known {
                Some(at) => table.swap_remove(at).1,
                None => table.into_iter().map(|(key, _)| key).collect(),
            };
            Offer { files: false, words: words.into_iter().map(|word| (word, String::new())).collect() }
        }
        complete => values(complete, ""),
    }
}

/// What a value may be, after `prefix`.
fn values(complete: Complete, prefix: &str) -> Offer {
    let words: Vec<String> = match complete {
        Complete::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Complete::Keyed(_) | Complete::Nothing | Complete::File => Vec::new(),
    };
    let words = words.into_iter().map(|word| (format!("{prefix}{word}"), String::new())).collect();
    Offer { files: matches!(complete, Complete::File), words }
}

/// Every spelling of an option, with its help.
fn spelled(flag: &Flag) -> Vec<(String, String)> {
    flag.spellings().map(|spelling| (spelling, flag.help.to_owned())).collect()
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
