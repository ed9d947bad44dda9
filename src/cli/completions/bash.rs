//! Completions for bash, without the bash-completion package.
//!
//! bash splits at `=` and `:`, so `--color=au` arrives as three words. Files are left to readline, which quotes them
//! well: a function that leaves `COMPREPLY` empty gets them, unless it says that there is nothing to complete.

use super::super::command::Subcommand;
use super::super::flags::{Complete, Flag};
use super::super::program::FLAGS;
use super::{Shell, first_words, operands, sh_words};

/// What comes before the subcommands' functions; `PROG` is the program's name.
const HEAD: &str = r##"# bash completion for PROG; to load it: source <(PROG --completions bash)

# Offers those of its arguments that begin like the word at hand, and no files.
_PROG_words() {
    local word quoted
    for word in "$@"; do
        if [[ $word == "$cur"* ]]; then
            printf -v quoted %q "$word"
            COMPREPLY+=("$quoted")
        fi
    done
    compopt +o default +o bashdefault 2>/dev/null
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
"##;

/// The function that bash calls; `PROG` is the program's name, `%` the cases.
const TAIL: &str = r##"
_PROG() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} ended= word
    COMPREPLY=()
    if [[ $cur == "=" ]]; then
        cur=
        [[ $prev == --* ]] || return 0
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
        [[ $prev == --* ]] || return 0
    fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word == -- ]]; then ended=1; fi
    done
    if [[ $COMP_CWORD -eq 1 ]]; then
        _PROG_words%FIRST
        return 0
    fi
    case ${COMP_WORDS[1]} in
%CASES        *) _PROG_words ;;
    esac
    return 0
}
complete -o bashdefault -o default -F _PROG PROG
"##;

/// The whole script.
pub(super) fn script(name: &str, pages: &[&dyn Subcommand]) -> String {
    let mut out = HEAD.replace("PROG", name);
    let mut cases = String::new();
    for page in pages {
        out += &subcommand(name, *page);
        cases += &format!("        {0}) _{name}_{0} ;;\n", page.help().name);
    }
    let subcommands = sh_words(pages.iter().map(|page| page.help().name));
    cases += &format!("        help) _{name}_words{subcommands} ;;\n");
    cases += &format!("        --completions) _{name}_words{} ;;\n", sh_words(Shell::WORDS));
    let words = first_words(pages).into_iter().map(|(word, _)| word.to_owned());
    let first = sh_words(words.chain(FLAGS.iter().flat_map(Flag::spellings)));
    let tail = TAIL.replace("PROG", name);
    out + &tail.replace("%FIRST", &first).replace("%CASES", &cases)
}

/// The function of a subcommand; it sees the variables of its caller.
fn subcommand(name: &str, page: &dyn Subcommand) -> String {
    let mut out = format!("\n_{name}_{}() {{\n", page.help().name);
    out += "    if [[ -z $ended ]]; then\n        case $prev in\n";
    for info in page.flags().into_iter().filter(|info| info.value.is_some()) {
        let spellings: Vec<String> = info.spellings().collect();
        let offer = offer(name, info.complete);
        out += &format!("            {}) {offer}; return ;;\n", spellings.join("|"));
    }
    let flags = sh_words(page.flags().iter().flat_map(Flag::spellings));
    out += "        esac\n";
    out += &format!("        if [[ $cur == -* ]]; then _{name}_words{flags}; return; fi\n");
    out += "    fi\n";
    if let Complete::Keyed(table) = operands(page) {
        out += "    local key\n    for key in \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"; do\n        case $key in\n";
        for (key, words) in table() {
            let (key, words) = (sh_words([key]), sh_words(words));
            out += &format!("           {key}) _{name}_words{words}; return ;;\n");
        }
        out += "        esac\n    done\n";
    }
    out + &format!("    {}\n}}\n", offer(name, operands(page)))
}

/// The command that offers what `complete` says.
fn offer(name: &str, complete: Complete) -> String {
    match complete {
        Complete::File => ":".to_owned(),
        _ => format!("_{name}_words{}", sh_words(complete.words().unwrap_or_default())),
    }
}
