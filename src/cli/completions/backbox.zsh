#compdef backbox
# zsh completion for backbox; to load it: source <(backbox --completions zsh), or save it as _backbox on the fpath
_backbox() {
    local line
    local -a words_known words_open
    local -a lines=("${(@f)$(${~words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${(@)lines[2,-1]}"; do
        if [[ $line == *= ]]; then words_open+=("$line"); else words_known+=("${line/$'\t'/:}"); fi
    done
    (( $#words_known )) && _describe argument words_known
    (( $#words_open )) && compadd -S '' -- "${words_open[@]}"
    if [[ $lines[1] == files ]]; then compset -P '--*='; _files; fi
}
if [[ $funcstack[1] == _backbox ]]; then _backbox "$@"; else compdef _backbox backbox; fi
