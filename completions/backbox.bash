# bash completion for backbox; to load it: source <(backbox --completions bash)
_backbox() {
    local kind= word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ -z $kind ]]; then kind=$word; else COMPREPLY+=("$word"); fi
    done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ $kind == files ]] || compopt +o default +o bashdefault 2>/dev/null
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
    return 0
}
complete -o bashdefault -o default -F _backbox backbox
