//! Completions for zsh: one `_arguments` call for each subcommand.
//!
//! The script can be sourced behind `compinit` or lie on the `fpath` as `_backbox`.

use super::super::command::{HELP, Subcommand, VERSION};
use super::super::flags::{Complete, Flag};
use super::super::markup::line;
use super::super::program::{COMPLETIONS, FLAGS};
use super::{first_words, operands, sh_quoted, sh_words};

/// The function that zsh calls; `PROG` is the program's name, `%` what is filled in.
const TAIL: &str = r##"
_PROG() {
    local curcontext="$curcontext" state ret=1
    local -a line subcommands
    typeset -A opt_args
    subcommands=(
%SUBCOMMANDS    )
    _arguments -C \
%FLAGS        '1: :->subcommand' \
        '*:: :->argument' && ret=0
    case $state in
    subcommand)
        _describe -t commands subcommand subcommands && ret=0
        ;;
    argument)
        curcontext="${curcontext%:*:*}:PROG-$line[1]:"
        case $line[1] in
%CASES        help) _arguments '1:subcommand:(%NAMES)' && ret=0 ;;
        esac
        ;;
    esac
    return ret
}

if [ "$funcstack[1]" = _PROG ]; then
    _PROG "$@"
else
    compdef _PROG PROG
fi
"##;

/// The whole script.
pub(super) fn script(name: &str, pages: &[&dyn Subcommand]) -> String {
    let mut out = format!("#compdef {name}\n# zsh completion for {name}\n");
    let mut cases = String::new();
    for page in pages {
        out += &subcommand(name, *page);
        cases += &format!("        {0}) _{name}_{0} && ret=0 ;;\n", page.help().name);
    }
    let described = first_words(pages).into_iter().map(|(word, summary)| {
        let summary = line(summary).replace('\\', "\\\\").replace(':', "\\:");
        format!("        {}\n", always_quoted(&format!("{word}:{summary}")))
    });
    let flags = FLAGS.iter().flat_map(specs);
    let names: Vec<&str> = pages.iter().map(|page| page.help().name).collect();
    let tail = TAIL.replace("PROG", name).replace("%NAMES", &names.join(" "));
    let tail = tail.replace("%FLAGS", &continued(flags));
    out + &tail.replace("%CASES", &cases).replace("%SUBCOMMANDS", &described.collect::<String>())
}

fn subcommand(name: &str, page: &dyn Subcommand) -> String {
    let mut out = String::new();
    let sub = page.help().name;
    let rest = match operands(page) {
        Complete::Keyed(table) => {
            out += &keyed(name, sub, &table());
            Some(format!("*:argument:_{name}_{sub}_operands"))
        }
        complete if !matches!(complete, Complete::Nothing) => Some(format!("*:argument:{}", action(complete))),
        _ => None,
    };
    let specs = continued(page.flags().iter().flat_map(specs));
    let specs = specs.trim_end_matches("\\\n").trim_end();
    out += &format!("\n_{name}_{sub}() {{\n    _arguments -s -S : \\\n{specs}");
    if let Some(rest) = rest {
        out += &format!(" \\\n        {}", always_quoted(&rest));
    }
    out + "\n}\n"
}

/// The function that completes positionals whose first decides about the others.
fn keyed(name: &str, sub: &str, table: &[(String, Vec<String>)]) -> String {
    let mut out = format!("\n_{name}_{sub}_operands() {{\n    local key\n");
    out += "    for key in \"${(@)words[2,CURRENT-1]}\"; do\n        case $key in\n";
    for (key, words) in table {
        let offers = offers(words);
        out += &format!("        {}) {offers}; return ;;\n", sh_quoted(key));
    }
    out += "        esac\n    done\n";
    let keys: Vec<String> = table.iter().map(|(key, _)| key.clone()).collect();
    out + &format!("    {}\n}}\n", offers(&keys))
}

/// The command that offers these words; one that ends in `=` gets no space behind it.
fn offers(words: &[String]) -> String {
    let (open, closed): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.ends_with('='));
    let offer = |options: &str, words: Vec<&String>| match words.is_empty() {
        true => None,
        false => Some(format!("compadd{options} --{}", sh_words(words))),
    };
    let offers = [offer("", closed), offer(" -S ''", open)];
    let offers: Vec<String> = offers.into_iter().flatten().collect();
    match offers.is_empty() {
        true => "return 1".to_owned(),
        false => offers.join("; "),
    }
}

/// A flag's specifications, one a spelling. `-h` and its like stand alone; what does not repeat excludes itself.
fn specs(info: &Flag) -> Vec<String> {
    let spellings: Vec<String> = info.spellings().collect();
    let alone = [HELP.long, VERSION.long, COMPLETIONS.long].contains(&info.long);
    let before = match (alone, info.repeats) {
        (true, _) => "(- *)".to_owned(),
        (false, true) => "*".to_owned(),
        (false, false) => format!("({})", spellings.join(" ")),
    };
    let help = escaped(&line(info.help), "\\[]:");
    let spec = |spelling: &String| {
        let Some(metavar) = info.value else {
            return format!("{before}{spelling}[{help}]");
        };
        let joint = if spelling.starts_with("--") { "=" } else { "+" };
        let value = format!("{}:{}", escaped(metavar, "\\:"), action(info.complete));
        format!("{before}{spelling}{joint}[{help}]:{value}")
    };
    spellings.iter().map(spec).collect()
}

/// What completes a value, as `_arguments` takes it.
fn action(complete: Complete) -> String {
    match (complete, complete.words()) {
        (Complete::File, _) => "_files".to_owned(),
        (_, Some(words)) => {
            let words: Vec<String> = words.iter().map(|word| in_list(word)).collect();
            format!("({})", words.join(" "))
        }
        (_, None) => " ".to_owned(),
    }
}

/// A word of a list in parentheses.
fn in_list(word: &str) -> String {
    let mut out = String::new();
    for letter in word.chars() {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"-_.=".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn escaped(text: &str, special: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if special.contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn continued(specs: impl Iterator<Item = String>) -> String {
    specs.map(|spec| format!("        {} \\\n", always_quoted(&spec))).collect()
}

fn always_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
