//! Tests that load the scripts into their shells, where those are installed, and ask them for completions.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::super::toy::PROGRAM;
use super::*;

/// What a shell prints when it reads `script`; nothing where it is not installed. It must not complain.
fn run(shell: &str, args: &[&str], script: &str) -> Option<String> {
    let child = Command::new(shell)
        .args(args)
        .env("HOME", std::env::temp_dir())
        .env("XDG_CONFIG_HOME", std::env::temp_dir())
        .env("XDG_DATA_HOME", std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no {shell} here");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    let mut complaint = String::new();
    let output = child.wait_with_output().unwrap();
    output.stderr.as_slice().read_to_string(&mut complaint).unwrap();
    assert_eq!(complaint, "", "{shell} complains");
    assert!(output.status.success(), "{shell} fails");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What bash offers for these words, the last of which is at hand.
fn bash_offers(words: &[&str]) -> Option<Vec<String>> {
    let script = format!(
        "{}\nset -u\nCOMP_WORDS=(toy{})\nCOMP_CWORD={}\n_toy\nprintf '%s\\n' ${{COMPREPLY[@]+\"${{COMPREPLY[@]}}\"}}\n",
        render(&PROGRAM, Shell::Bash),
        sh_words(words),
        words.len()
    );
    let out = run("bash", &["--norc", "--noprofile", "-s"], &script)?;
    Some(out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_completes() {
    for (words, offers) in [
        (&["co"][..], &["count"][..]),
        (&[""], &["press", "count", "help", "-h", "--help", "-V", "--version", "--completions"]),
        (&["--completions", "z"], &["zsh"]),
        (&["help", "p"], &["press"]),
        (&["count", "--m"], &["--max-line"]),
        (&["press", "-"], &["-q", "--quiet", "--color", "-h", "--help", "-V", "--version"]),
        (&["count", "--color", "a"], &["auto", "always"]),
        (&["count", "--color", "=", "ne"], &["never"]),
        (&["count", "--color", "="], &["auto", "always", "never"]),
        (&["count", "--max-line", ""], &[]),
        (&["count", "-b", ""], &[]),
        (&["count", "--", "--c"], &[]),
        (&["press", "st"], &["start", "st\\'op\\$HOME"]),
        (&["press", "-q", "start", "p"], &["player="]),
        (&["press", "st'op$HOME", ""], &["hard="]),
        (&["press", "start", "player", "=", "s"], &[]),
        (&["nope", ""], &[]),
    ] {
        let Some(offered) = bash_offers(words) else {
            return;
        };
        assert_eq!(offered, offers, "{words:?}");
    }
}

/// What fish offers for this command line.
fn fish_offers(line: &str) -> Option<Vec<String>> {
    let script = format!("{}\ncomplete -C {}\n", render(&PROGRAM, Shell::Fish), sh_quoted(line));
    let out = run("fish", &["--no-config"], &script)?;
    // Some versions put a `=` behind a flag that takes a value.
    let first = |line: &str| {
        let word = line.split('\t').next().unwrap_or("");
        match word.starts_with("--") {
            true => word.trim_end_matches('=').to_owned(),
            false => word.to_owned(),
        }
    };
    let mut words: Vec<String> = out.lines().map(first).collect();
    words.sort();
    Some(words)
}

#[test]
fn fish_completes() {
    for (line, offers) in [
        ("toy co", &["count"][..]),
        ("toy help p", &["press"]),
        ("toy --completions z", &["zsh"]),
        ("toy count --m", &["--max-line"]),
        ("toy count --color a", &["always", "auto"]),
        ("toy count --color=ne", &["--color=never"]),
        ("toy count --max-line ", &[]),
        ("toy press -q s", &["st'op$HOME", "start"]),
        ("toy press start p", &["player="]),
        ("toy press start c", &[]),
    ] {
        let Some(offered) = fish_offers(line) else {
            return;
        };
        assert_eq!(offered, offers, "{line}");
    }
    let files = fish_offers("toy count -q /de").unwrap_or_default();
    assert!(!cfg!(unix) || files.contains(&"/dev/".to_owned()), "{files:?}");
}

#[test]
fn zsh_completes() {
    let Some(_) = run("zsh", &["-f", "-s"], "zmodload zsh/zpty\n") else {
        return;
    };
    for (line, offers) in [
        ("toy co", &["count"][..]),
        ("toy help p", &["press"]),
        ("toy --completions z", &["zsh"]),
        ("toy count --m", &["--max-line"]),
        ("toy count --color ne", &["never"]),
        ("toy count --color=a", &["auto", "always"]),
        ("toy count --max-line ", &[]),
        ("toy press -q st", &["start", "st\\'op\\$HOME"]),
        ("toy press start p", &["player="]),
        ("toy count -q /de", &["dev"]),
    ] {
        let offered = zsh_offers("toy.zsh", line);
        assert_eq!(offered, offers, "{line}");
    }
    assert_eq!(zsh_offers("_toy", "toy co"), ["count"], "found on the fpath");
}

/// What is put into zsh's start-up file: complete one line at the first prompt, write down what is added, and leave.
const ZSH_START: &str = r#"
TMOUT=20
autoload -Uz compinit
fpath=("$ZDOTDIR" $fpath)
compinit -D -u
if [[ -e $ZDOTDIR/toy.zsh ]]; then source "$ZDOTDIR/toy.zsh"; fi
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a hits
        builtin compadd -A hits "$@"
        (( $#hits )) && print -rl -- "${hits[@]}" >> "$ZDOTDIR/offers"
    fi
    builtin compadd "$@"
}
zle-line-init() {
    BUFFER=$(< "$ZDOTDIR/line")
    CURSOR=$#BUFFER
    zle complete-word
    BUFFER=exit
    zle accept-line
}
zle -N zle-line-init
"#;

/// What zsh, on a terminal of its own, offers for this command line when the script is in this file: sourced as
/// `toy.zsh`, found by `compinit` as `_toy`.
fn zsh_offers(file: &str, line: &str) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("backbox-zsh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(file, &render(&PROGRAM, Shell::Zsh));
    write(".zshrc", ZSH_START);
    write("line", line);
    write("offers", "");
    let script = format!(
        "zmodload zsh/zpty\nexport ZDOTDIR={}\nzpty inner zsh -d -i\nwhile zpty -r inner chunk; do :; done\ntrue\n",
        sh_quoted(&folder.to_string_lossy())
    );
    run("zsh", &["-f", "-s"], &script);
    let offers = std::fs::read_to_string(folder.join("offers")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let mut words: Vec<String> = Vec::new();
    for word in offers.lines() {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}
