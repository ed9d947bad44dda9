//! Modules depend only on lower layers: this reads every path in `src` and fails on one to a higher layer.
//!
//! Unit tests may use any module: code after `#[cfg(test)]` and files named `…_tests.rs` are not checked.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that every module may use: exit statuses, limits, text, durations. They use only each other.
const BASE: &[&str] = &["exit", "limits", "text", "time"];

/// Every other top-level module with the ones that it may use, from the bottom to the top.
const LAYERS: &[(&str, &[&str])] = &[
    ("bcp", &[]),
    // A line announces its payload, so framing reads lines.
    ("framing", &["bcp"]),
    ("catalogue", &["bcp"]),
    ("session", &["framing", "bcp"]),
    ("check", &["session", "framing", "bcp"]),
    ("output", &["framing", "bcp"]),
    ("net", &["framing"]),
    ("cli", &[]),
    ("commands", &["bcp", "framing", "catalogue", "session", "check", "output", "net", "cli"]),
    ("lib", &[]),
    ("main", &["commands"]),
];

/// Parts of the standard library that only these modules may use.
const STANDARD: &[(&str, &[&str])] = &[
    ("std::net", &["net"]),
    ("std::thread", &["net"]),
    ("std::os", &["net"]),
    ("rustix", &["net"]),
    ("signal_hook", &["net"]),
];

/// Parts of the standard library that pure layers must not use: they open nothing and read no clock.
const IMPURE: &[&str] =
    &["std::fs", "std::io", "std::time::Instant", "std::time::SystemTime", "std::env", "std::process"];
const PURE: &[&str] = &["bcp", "framing", "catalogue", "check"];

/// A file of the crate: its module path, such as `net::wait`, and its text.
struct Source {
    module: Vec<String>,
    text: String,
}

#[test]
fn modules_depend_only_on_lower_layers() {
    let mut sources = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources);
    assert!(sources.len() > 20, "the sources are not where they were");
    let offences: Vec<String> = sources.iter().flat_map(offences).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn planted_violation_is_found() {
    for (module, text, found) in [
        ("bcp::line", "use crate::net::connect;", "bcp must not use net"),
        ("bcp::line", "use super::super::net::wait;", "bcp must not use net"),
        ("bcp", "use super::framing::Frame;", "bcp must not use framing"),
        ("bcp", "use std::{fmt, time::{Duration, Instant}};", "bcp must not name std::time::Instant"),
        ("bcp", "fn f() { std::fs::read(\"x\"); }", "bcp must not name std::fs"),
        ("framing", "use crate::{text::trim, catalogue::{find, knows}};", "framing must not use catalogue"),
        ("framing::bcp", "fn f(p: &crate::session::Record) {}", "framing must not use session"),
        ("net::server", "pub(crate) use crate::output::say;", "net must not use output"),
        ("cli::flags", "use crate::bcp as c;", "cli must not use bcp"),
        ("commands::send", "use std::net::TcpStream;", "commands must not name std::net"),
        ("commands::send", "use std::{io, thread};", "commands must not name std::thread"),
        ("check::engine", "use std::io::Read;", "check must not name std::io"),
        ("exit", "use crate::bcp::Malformed;", "exit must not use bcp"),
        ("cli", "#[cfg(test)]\nmod toy;\nuse crate::bcp::Message;", "cli must not use bcp"),
        ("novelty", "", "novelty has no layer"),
    ] {
        let module = module.split("::").map(str::to_owned).collect();
        let seen = offences(&Source { module, text: text.to_owned() });
        assert!(!seen.is_empty() && seen.iter().all(|offence| offence.contains(found)), "{text}: {seen:?}");
    }
}

#[test]
fn allowed_imports_are_no_violation() {
    for (module, text) in [
        (
            "net::reactor",
            "use std::net::TcpStream;\nuse super::sys::{self, Waker};\nuse crate::framing::{Frame, FramingOptions};",
        ),
        (
            "bcp::conversation",
            "//! Not `crate::net`.\nuse crate::bcp::Message; // nor std::fs\n\
             #[cfg(test)]\nmod tests { use crate::net; }",
        ),
        ("commands::send", "use super::dial::Target;\nuse crate::net::TcpStream;\nlet s = \"crate::nowhere\";"),
        ("bcp::json", "use super::spell::push;\nuse std::time::Duration;"),
    ] {
        let module = module.split("::").map(str::to_owned).collect();
        let seen = offences(&Source { module, text: text.to_owned() });
        assert!(seen.is_empty(), "{seen:?}");
    }
}

fn collect(directory: &Path, sources: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { module: module_of(&path), text });
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
}

fn module_of(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().with_extension("");
    let mut module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// The violations in one file.
fn offences(source: &Source) -> Vec<String> {
    let layer = source.module[0].as_str();
    let place = source.module.join("::");
    let allowed: &[&str] = match LAYERS.iter().find(|(name, _)| *name == layer) {
        Some((_, allowed)) => allowed,
        None if BASE.contains(&layer) => &[],
        None => return vec![format!("{place}: {layer} has no layer: give it a place in this test and in the design")],
    };
    let mut found = Vec::new();
    for path in paths(&code(&source.text)) {
        if let Some(used) = top_module(&path, &source.module) {
            let known = BASE.contains(&used) || LAYERS.iter().any(|(name, _)| *name == used);
            if known && used != layer && !BASE.contains(&used) && !allowed.contains(&used) {
                found.push(format!("{place}: {layer} must not use {used} ({path})"));
            }
        }
        let names = |part: &str| path == part || path.starts_with(&format!("{part}::"));
        for (part, _) in STANDARD.iter().filter(|(part, owners)| names(part) && !owners.contains(&layer)) {
            found.push(format!("{place}: {layer} must not name {part} ({path})"));
        }
        for part in IMPURE.iter().filter(|part| names(part) && PURE.contains(&layer)) {
            found.push(format!("{place}: {layer} must not name {part} ({path})"));
        }
    }
    found
}

/// The top-level module of a path in this crate.
fn top_module<'a>(path: &'a str, module: &[String]) -> Option<&'a str> {
    let mut steps = path.split("::");
    match steps.next()? {
        "crate" | "backbox" => steps.next(),
        "super" => {
            let mut depth = module.len().checked_sub(1)?;
            let mut next = steps.next()?;
            while next == "super" {
                depth = depth.checked_sub(1)?;
                next = steps.next()?;
            }
            (depth == 0).then_some(next)
        }
        _ => None,
    }
}

/// The text without comments, strings and unit tests.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in without_tests(text).lines() {
        // A `//` inside a string ends that string early, which is harmless because paths precede it.
        let line = line.split("//").next().unwrap_or_default();
        for (count, piece) in line.split('"').enumerate() {
            code.push_str(if count % 2 == 0 { piece } else { " " });
        }
        code.push('\n');
    }
    code
}

/// The text without its unit tests. A test module in another file is a single line, after which code follows.
fn without_tests(text: &str) -> String {
    let mut pieces = text.split("#[cfg(test)]\n");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (item, following) = piece.split_once('\n').unwrap_or((piece, ""));
        if item.ends_with('{') {
            break;
        }
        kept.push_str(following);
    }
    kept
}

/// Every path, with groups expanded: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let roots = ["crate::", "super::", "std::", "rustix::", "signal_hook::", "backbox::"];
    let mut rest = code;
    while let Some((at, root)) = roots.iter().filter_map(|root| rest.find(root).map(|at| (at, root))).min() {
        let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        rest = &rest[at..];
        if begins {
            let end = expand("", rest, &mut paths);
            rest = &rest[end..];
        } else {
            rest = &rest[root.len()..];
        }
    }
    paths
}

/// Expands one path after `prefix`; returns its length in bytes.
fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) -> usize {
    let simple = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    let head = format!("{prefix}{}", &text[..simple]);
    if !text[simple..].starts_with('{') || !head.ends_with("::") {
        paths.push(head.trim_end_matches(':').trim_end_matches("::self").to_owned());
        return simple.max(1);
    }
    let mut at = simple + 1;
    while at < text.len() {
        match text[at..].chars().next() {
            Some('}') => return at + 1,
            Some(c) if c.is_alphanumeric() || c == '_' => at += expand(&head, &text[at..], paths),
            Some(c) => at += c.len_utf8(),
            None => break,
        }
    }
    at
}
