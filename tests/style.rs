//! Style rules that the compiler does not check: file size, line width, reasons for dependencies, and nothing that the
//! oldest supported Rust (`rust-version`) rejects.

use std::fs;
use std::path::{Path, PathBuf};

/// The maximum number of lines of a file.
const FILE_LINES_MAX: usize = 600;

/// The maximum line width in characters; rustfmt does not break comments and strings.
const LINE_CHARS_MAX: usize = 120;

/// A rule returns the numbers of the lines, from 1, that break it.
type Rule = fn(&str) -> Vec<usize>;

const RULES: &[(&str, Rule)] = &[
    ("a file of at most 600 lines", too_long),
    ("a line of at most 120 columns", too_wide),
    ("no unsafe code", unsafe_code),
    ("no let chain: Rust 1.85 has none", let_chains),
    ("no format_args! bound to a name: Rust 1.85 drops what it borrows", bound_format_args),
    ("a module begins with //! and its purpose", no_opening),
];

#[test]
fn sources_follow_the_style_rules() {
    let files = rust_files(Path::new("src"));
    assert!(files.len() > 20, "only {} files", files.len());
    let mut faults = Vec::new();
    for file in files.iter().chain(&rust_files(Path::new("tests"))).chain(&rust_files(Path::new("benches"))) {
        let text = fs::read_to_string(file).unwrap();
        for (name, rule) in RULES {
            faults.extend(rule(&text).iter().map(|line| format!("{}:{line}: {name}", file.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn too_long(text: &str) -> Vec<usize> {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX { vec![lines] } else { vec![] }
}

fn too_wide(text: &str) -> Vec<usize> {
    let wide = numbered(text).filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX);
    wide.map(|(number, _)| number).collect()
}

/// Finds the keyword in code; the lint `unsafe_code` is another word.
fn unsafe_code(text: &str) -> Vec<usize> {
    let word = concat!("un", "safe");
    let has_word = |line: &str| {
        !is_comment(line) && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
    };
    // Strings may contain the word.
    let has_word = |line: &str| has_word(line) && !line.contains('"');
    numbered(text).filter(|(_, line)| has_word(line)).map(|(number, _)| number).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn no_opening(text: &str) -> Vec<usize> {
    if text.starts_with("//! ") { vec![] } else { vec![1] }
}

/// Finds `if let … && …`, `while let … && …` and `… && let …`, also across line breaks.
fn let_chains(text: &str) -> Vec<usize> {
    let code = numbered(text).map(|(_, line)| if is_comment(line) { "" } else { line });
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("let ") {
        let before = code[..at].trim_end();
        let begins = ["if", "while"].iter().any(|word| {
            before.strip_suffix(word).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        if before.ends_with("&&") || (begins && has_and_before_block(&code[at..])) {
            found.push(code[..at].matches('\n').count() + 1);
        }
    }
    found
}

/// Finds `let … = format_args!(…)`, also across a line break.
fn bound_format_args(text: &str) -> Vec<usize> {
    let code = numbered(text).map(|(_, line)| if is_comment(line) { "" } else { line });
    let code = code.collect::<Vec<_>>().join("\n");
    let bound = code.match_indices("format_args!(").filter(|(at, _)| code[..*at].trim_end().ends_with(" ="));
    bound.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

/// Whether `&&` precedes the next `{`, outside of brackets.
fn has_and_before_block(code: &str) -> bool {
    let mut depth = 0usize;
    let mut previous = ' ';
    for letter in code.chars() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' | ';' if depth == 0 => return false,
            '&' if depth == 0 && previous == '&' => return true,
            _ => {}
        }
        previous = letter;
    }
    false
}

#[test]
fn each_rule_finds_a_planted_violation() {
    assert_eq!(too_long(&"\n".repeat(601)), [601]);
    assert_eq!(too_long(&"\n".repeat(600)), [0; 0]);
    assert_eq!(too_wide(&format!("\n{}\n{}", "é".repeat(121), "é".repeat(120))), [2]);
    let word = concat!("un", "safe");
    assert_eq!(unsafe_code(&format!("// {word}\n#![forbid({word}_code)]\n{word} fn x() {{}}\n")), [3]);
    assert_eq!(no_opening("use std::fs;\n"), [1]);
    let planted = ["if let ", "Some(a) = b\n &", "& c {}"].concat();
    assert_eq!(let_chains(&planted), [1]);
    assert_eq!(let_chains(&["if a &", "& let ", "Some(b) = c {}"].concat()), [1]);
    assert_eq!(let_chains(&["while let ", "Some(a) = b.find(|x| x) &", "& c {}"].concat()), [1]);
    assert_eq!(let_chains("if let Some(a) = b.find(|x| x && y) {}\nif let Some(a) = b { c && d }\n"), [0; 0]);
    assert_eq!(let_chains("let a = b && c;\n"), [0; 0]);
    assert_eq!(bound_format_args(&["let a =\n    format_", "args!(\"{b}\");"].concat()), [2]);
    assert_eq!(bound_format_args("say(format_args!(\"{b}\"));"), [0; 0]);
}

#[test]
fn each_dependency_has_a_comment_with_its_reason() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let (count, without) = dependencies_without_reason(&manifest);
    assert!(count >= 5, "only {count} dependencies found");
    assert!(without.is_empty(), "a comment with the reason is missing above {without:?}");
    let planted = "[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\n[profile.release]\nlto = true\n";
    assert_eq!(dependencies_without_reason(planted), (2, vec!["b = \"1\"".to_owned()]));
}

/// The number of dependencies, and the lines of those without a comment above.
fn dependencies_without_reason(manifest: &str) -> (usize, Vec<String>) {
    let (mut count, mut without) = (0, Vec::new());
    let (mut inside, mut above) = (false, "");
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            count += 1;
            if !above.starts_with("# ") {
                without.push(line.to_owned());
            }
        }
        above = line;
    }
    (count, without)
}
