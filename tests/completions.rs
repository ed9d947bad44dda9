//! Shell completion in the shells that are installed: each loads its script and lists candidates.

#![cfg(unix)]

mod common;

use common::{Workdir, backbox, path_with_backbox};
use std::io::Write;
use std::process::{Command, Stdio};

/// Returns the output of a shell script, or `None` if the shell is not installed. Standard error must be empty.
fn run(folder: &Workdir, shell: &str, args: &[&str], script: &str) -> Option<String> {
    let child = Command::new(shell)
        .args(args)
        .current_dir(folder.path())
        .env("PATH", path_with_backbox(folder))
        .env("HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path())
        .env("ZDOTDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no {shell} here");
        return None;
    };
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} complains");
    assert!(output.status.success(), "{shell} fails");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The output of `--completions` for this shell.
fn completions(shell: &str) -> String {
    backbox(["--completions", shell], "").exits(0).text().to_owned()
}

/// Quotes a word for all three shells.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The candidates without repetitions, in order.
fn unique(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

#[test]
fn bash_completes() {
    let folder = Workdir::new();
    let script = completions("bash");
    for (words, offers) in [
        (&["dec"][..], &["decode"][..]),
        (&["help", "sen"], &["send"]),
        (&["--completions", "z"], &["zsh"]),
        (&["decode", "--max-l"], &["--max-line"]),
        (&["decode", "--color", "a"], &["auto", "always"]),
        (&["decode", "--color", "=", "ne"], &["never"]),
        (&["decode", "--max-line", ""], &[]),
        (&["decode", ""], &[]),
        (&["send", "mode_l"], &["mode_list"]),
        (&["send", "-q", "switch", "s"], &["state="]),
        (&["send", "switch", "name", "=", "s"], &[]),
        (&["nope", ""], &[]),
    ] {
        let typed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let ask = format!(
            "{script}\nset -u\nCOMP_WORDS=(backbox {})\nCOMP_CWORD={}\n_backbox\n\
             printf '%s\\n' ${{COMPREPLY[@]+\"${{COMPREPLY[@]}}\"}}\n",
            typed.join(" "),
            words.len()
        );
        let Some(out) = run(&folder, "bash", &["--norc", "--noprofile", "-s"], &ask) else { return };
        assert_eq!(unique(out.lines().map(str::to_owned)), offers, "{words:?}");
    }
}

#[test]
fn fish_completes() {
    let folder = Workdir::new();
    folder.write("game.bcp", "");
    let script = completions("fish");
    for (line, offers) in [
        ("backbox dec", &["decode"][..]),
        ("backbox help sen", &["send"]),
        ("backbox --completions z", &["zsh"]),
        ("backbox decode --max-l", &["--max-line"]),
        ("backbox decode --color a", &["always", "auto"]),
        ("backbox decode --color=ne", &["--color=never"]),
        ("backbox decode --max-line ", &[]),
        ("backbox decode -q gam", &["game.bcp"]),
        ("backbox encode --input=gam", &["--input=game.bcp"]),
        ("backbox send -q mode_l", &["mode_list"]),
        ("backbox send switch s", &["state="]),
    ] {
        let ask = format!("{script}\ncomplete -C {}\n", quoted(line));
        let Some(out) = run(&folder, "fish", &["--no-config"], &ask) else { return };
        let mut offered = unique(out.lines().map(|line| line.split('\t').next().unwrap_or("").to_owned()));
        offered.sort();
        assert_eq!(offered, offers, "{line}");
    }
}

/// The start-up file for zsh: it completes one line at the first prompt, writes the candidates, and exits.
const ZSH_START: &str = r#"
TMOUT=20
autoload -Uz compinit
fpath=("$ZDOTDIR" $fpath)
compinit -D -u
if [[ -e $ZDOTDIR/backbox.zsh ]]; then source "$ZDOTDIR/backbox.zsh"; fi
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

/// Returns the candidates of zsh on a terminal for this command line. The script is sourced as
/// `backbox.zsh`, found by `compinit` as `_backbox`.
fn zsh_offers(file: &str, line: &str) -> Vec<String> {
    let folder = Workdir::new();
    folder.write(file, completions("zsh"));
    folder.write(".zshrc", ZSH_START);
    folder.write("line", line);
    folder.write("offers", "");
    folder.write("game.bcp", "");
    let script = "zmodload zsh/zpty\nzpty inner zsh -d -i\nwhile zpty -r inner chunk; do :; done\ntrue\n";
    run(&folder, "zsh", &["-f", "-s"], script);
    let offers = std::fs::read_to_string(folder.path().join("offers")).unwrap();
    unique(offers.lines().map(str::to_owned))
}

#[test]
fn zsh_completes() {
    let Some(_) = run(&Workdir::new(), "zsh", &["-f", "-s"], "zmodload zsh/zpty\n") else { return };
    for (line, offers) in [
        ("backbox dec", &["decode"][..]),
        ("backbox help sen", &["send"]),
        ("backbox decode --max-l", &["--max-line"]),
        ("backbox decode --color a", &["auto", "always"]),
        ("backbox decode --color=ne", &["--color=never"]),
        ("backbox decode --max-line ", &[]),
        ("backbox send -q mode_l", &["mode_list"]),
        ("backbox send switch s", &["state="]),
        ("backbox decode -q gam", &["game.bcp"]),
        ("backbox encode --input=gam", &["game.bcp"]),
    ] {
        assert_eq!(zsh_offers("backbox.zsh", line), offers, "{line}");
    }
    assert_eq!(zsh_offers("_backbox", "backbox dec"), ["decode"], "found on the fpath");
}
