# fish completion for backbox; to load it: backbox --completions fish | source
function __backbox_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l lines ($program __complete $words[2..-1] 2>/dev/null)
    printf '%s\n' $lines[2..-1]
    if test "$lines[1]" = files
        set -l prefix (string match -r '^--[^=]+=' -- $words[-1])
        __fish_complete_path (string replace -- "$prefix" '' $words[-1]) | string replace -r -- '^' "$prefix"
    end
end
complete -c backbox -f -a '(__backbox_complete)'
