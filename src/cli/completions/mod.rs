//! Completions for bash, zsh and fish, rendered from the same tables as the help.
//!
//! They know the subcommands, the flags of each with their values, files where a file is wanted, and the words that a
//! table lists for its positionals. They never run the program and never dial (design.md, section 16).

mod bash;
mod fish;
mod zsh;

use super::command::Program;
use super::command::Subcommand;
use super::flags::Complete;

/// A shell that completions can be rendered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash, from 3.2, without the bash-completion package.
    Bash,
    /// zsh with `compinit`.
    Zsh,
    /// fish, from 3.0.
    Fish,
}

impl Shell {
    /// What `--completions` takes.
    pub const WORDS: [&'static str; 3] = ["bash", "zsh", "fish"];

    /// The shell of this name.
    pub fn named(word: &str) -> Option<Shell> {
        match word {
            "bash" => Some(Shell::Bash),
            "zsh" => Some(Shell::Zsh),
            "fish" => Some(Shell::Fish),
            _ => None,
        }
    }
}

/// The script that makes `shell` complete the program's command lines.
pub fn render(program: &Program, shell: Shell) -> String {
    let name = program.help.name;
    let pages = program.subcommands;
    match shell {
        Shell::Bash => bash::script(name, pages),
        Shell::Zsh => zsh::script(name, pages),
        Shell::Fish => fish::script(name, pages),
    }
}

/// What the program itself takes as its first argument, besides its own flags: each word with its summary.
fn first_words(pages: &[&dyn Subcommand]) -> Vec<(&'static str, &'static str)> {
    let named = pages.iter().map(|page| (page.help().name, page.help().summary));
    named.chain([("help", "print a subcommand's help")]).collect()
}

/// The positionals' words: a page without positionals has none to offer.
fn operands(page: &dyn Subcommand) -> Complete {
    page.complete()
}

/// A word for bash and zsh, which read it back as it stands.
fn sh_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=,:+".contains(&byte);
    if !word.is_empty() && !word.starts_with('=') && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Words for bash and zsh, with a space before each.
fn sh_words<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let quoted = words.into_iter().map(|word| format!(" {}", sh_quoted(word.as_ref())));
    quoted.collect()
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
