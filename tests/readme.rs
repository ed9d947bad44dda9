//! Runs the examples of the README.
//!
//! A `console` block contains commands after `$ ` (continued after `> `), each followed by its complete standard
//! output; a line `...` matches any number of lines. The block runs in one shell, so `$?`, variables and the directory
//! carry over. Standard error is shown if the output differs. A block marked `sh` is only checked for its syntax; a
//! block marked `sh run` must exit with status 0.
//!
//! The blocks run in order, in one folder that contains the files of `tests/data/sessions`, the first of them also as
//! `game.bcp`, and all of them also in `tests/data/sessions`; a log of MPF is `mpf.log`; `backbox` is on the path.

#![cfg(unix)]

mod common;

use common::{Outcome, Workdir, shell_in};
use std::path::Path;

/// A line that is printed after the output of each command.
const MARK: &str = "-- end of one command --";

/// Tools in examples that may be missing on a machine.
const OPTIONAL_TOOLS: &[&str] = &["jq", "nc", "socat"];

/// A fenced block of Markdown.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The line number of its opening fence, from 1.
    line: usize,
    /// The info string after the fence.
    kind: String,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                open = Some(Block { line: index + 1, kind: kind.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// The commands of a `console` block, each with its expected output.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
            continue;
        }
        let (command, output) = commands.last_mut().expect("a console block begins with a command");
        match line.strip_prefix("> ") {
            Some(more) if output.is_empty() => *command += &format!("\n{more}"),
            _ => *output += &format!("{line}\n"),
        }
    }
    commands
}

/// Whether the output matches the expected one, in which `...` matches any lines.
fn matches_output(output: &str, expected: &str) -> bool {
    let (output, expected): (Vec<&str>, Vec<&str>) = (output.lines().collect(), expected.lines().collect());
    let mut pieces = expected.split(|line| *line == "...");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = output.strip_prefix(first) else { return false };
    let pieces: Vec<&[&str]> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let found = (0..=rest.len()).find(|at| rest[*at..].starts_with(piece));
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// A shell script that runs the commands and prints a mark after each output, without changing `$?`.
fn script(commands: &[(String, String)]) -> String {
    let marked =
        |(command, _): &(String, String)| format!("{command}\n{{ _s=$?; printf '\\n{MARK}\\n'; }}; (exit $_s)\n");
    commands.iter().map(marked).collect()
}

fn folder_with_sessions() -> Workdir {
    let folder = Workdir::new();
    let again = folder.path().join("tests/data/sessions");
    std::fs::create_dir_all(&again).unwrap();
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sessions");
    let mut files: Vec<_> = std::fs::read_dir(sessions).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs/mpf-0.81-file.log");
    std::fs::copy(log, folder.path().join("mpf.log")).unwrap();
    std::fs::copy(files.first().expect("a session"), folder.path().join("game.bcp")).unwrap();
    for file in files {
        let name = file.file_name().unwrap();
        std::fs::copy(&file, folder.path().join(name)).unwrap();
        std::fs::copy(&file, again.join(name)).unwrap();
    }
    folder
}

/// The error in a block, if any.
fn wrong(folder: &Workdir, block: &Block) -> Option<String> {
    let missing = OPTIONAL_TOOLS.iter().find(|tool| {
        let words = block.text.split(|c: char| !c.is_alphanumeric());
        words.clone().any(|word| word == **tool) && shell_in(folder, &format!("command -v {tool}")).code != Some(0)
    });
    match (block.kind.as_str(), missing) {
        ("console", Some(tool)) => println!("skipped: line {} needs {tool}, which is not installed", block.line),
        ("console", None) => return wrong_console(folder, &commands(&block.text)),
        ("sh" | "sh run", _) => {
            folder.write("example.sh", &block.text);
            let checked = shell_in(folder, "sh -n example.sh");
            if checked.code != Some(0) {
                return Some(checked.stderr);
            }
            if block.kind == "sh run" {
                let ran = shell_in(folder, "sh -e example.sh");
                return (ran.code != Some(0)).then_some(ran.stderr);
            }
        }
        ("" | "text" | "json" | "yaml", _) => {}
        (other, _) => return Some(format!("a block of an unknown kind, {other}")),
    }
    None
}

fn wrong_console(folder: &Workdir, commands: &[(String, String)]) -> Option<String> {
    let outcome: Outcome = shell_in(folder, &script(commands));
    let end = format!("\n{MARK}\n");
    let text = outcome.text();
    let mut outputs = text.split(end.as_str());
    for (command, expected) in commands {
        let Some(output) = outputs.next() else { return Some(format!("{command}\nnever ran: {}", outcome.stderr)) };
        if !matches_output(output, expected) {
            return Some(format!("{command}\nprints\n{output}and not\n{expected}stderr:\n{}", outcome.stderr));
        }
    }
    None
}

#[test]
fn each_example_of_the_readme_prints_what_it_shows() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.iter().any(|block| block.kind == "console"), "the README has no example");
    let folder = folder_with_sessions();
    let check = |block: &Block| wrong(&folder, block).map(|wrong| format!("README.md:{}: {wrong}", block.line));
    let wrong: Vec<String> = blocks.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_example_is_found() {
    let folder = folder_with_sessions();
    let check = |text: &str| wrong(&folder, &Block { line: 1, kind: "console".to_owned(), text: text.to_owned() });
    assert_eq!(check("$ backbox encode t a=1\nt?a=1\n$ false\n$ echo $?\n1\n"), None);
    assert_eq!(check("$ printf a\na\n$ printf '%s\\n' a \\\n> b\na\nb\n"), None);
    assert!(check("$ backbox decode game.bcp\n{\"command\":\"hello\"...\n").is_some());
    assert_eq!(check("$ seq 9\n1\n...\n5\n...\n9\n"), None);
    assert!(check("$ seq 9\n1\n...\n5\n6\n8\n...\n").is_some());
    assert!(check("$ seq 2\n1\n").is_some());
    assert!(check("$ seq 2\n1\n2\n3\n").is_some());
    assert!(check("$ exit 1\n$ echo\n\n").is_some());
    let syntax =
        |kind: &str, text: &str| wrong(&folder, &Block { line: 1, kind: kind.to_owned(), text: text.to_owned() });
    assert_eq!(syntax("sh", "backbox send trigger name=x\n"), None);
    assert!(syntax("sh", "if then\n").is_some());
    assert!(syntax("sh run", "false\n").is_some());
    assert_eq!(syntax("sh run", "test -s game.bcp && test -d tests/data/sessions\n"), None);
    assert!(syntax("shh", "").is_some());
    let found = blocks("a\n```sh\nb\n```\n```\nc\n```\n");
    assert_eq!(
        found.iter().map(|block| (block.line, &*block.kind, &*block.text)).collect::<Vec<_>>(),
        [(2, "sh", "b\n"), (5, "", "c\n")]
    );
}
