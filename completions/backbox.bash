# bash completion for backbox; to load it: source <(backbox --completions bash)

# Offers those of its arguments that begin like the word at hand, and no files.
_backbox_words() {
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

_backbox_encode() {
    if [[ -z $ended ]]; then
        case $prev in
            -i|--input) :; return ;;
            -b|--bytes) :; return ;;
            --wire) _backbox_words bcp obe; return ;;
            --max-line) _backbox_words; return ;;
            --max-payload) _backbox_words; return ;;
            --color) _backbox_words auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then _backbox_words -i --input -b --bytes -s --string -0 --null --wire --fail-fast --max-line --max-payload --keep-case --sort-keys --compact --no-ensure-ascii --no-nan -q --quiet --color -h --help -V --version; return; fi
    fi
    local key
    for key in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        case $key in
            hello) _backbox_words version= controller_name= controller_version= gmc_version=; return ;;
            goodbye) _backbox_words; return ;;
            reset) _backbox_words; return ;;
            reset_complete) _backbox_words; return ;;
            error) _backbox_words message= command= cmd= error= kwargs=; return ;;
            mode_start) _backbox_words name= priority=; return ;;
            mode_stop) _backbox_words name=; return ;;
            mode_list) _backbox_words running_modes=; return ;;
            ball_start) _backbox_words player_num= ball=; return ;;
            ball_end) _backbox_words; return ;;
            player_added) _backbox_words player_num=; return ;;
            player_turn_start) _backbox_words player_num=; return ;;
            player_variable) _backbox_words name= value= player_num= prev_value= change=; return ;;
            machine_variable) _backbox_words name= value= prev_value= change=; return ;;
            settings) _backbox_words settings=; return ;;
            switch) _backbox_words name= state=; return ;;
            trigger) _backbox_words name=; return ;;
            register_trigger) _backbox_words event=; return ;;
            remove_trigger) _backbox_words event=; return ;;
            monitor_start) _backbox_words category= category=events category=devices category=drivers category=switches category=machine_vars category=player_vars category=modes category=core_events category=service_events category=status_request; return ;;
            monitor_stop) _backbox_words category= category=events category=devices category=drivers category=switches category=machine_vars category=player_vars category=modes category=core_events category=service_events category=status_request; return ;;
            device) _backbox_words type= name= changes= state=; return ;;
            monitored_event) _backbox_words event_name= event_type= event_callback= event_kwargs= registered_handlers=; return ;;
            driver_event) _backbox_words action= name= number= pulse_ms=; return ;;
            status_request) _backbox_words; return ;;
            status_report) _backbox_words cpu= rss= vms=; return ;;
            set_machine_var) _backbox_words name= value= persist=; return ;;
            evaluate_placeholder) _backbox_words placeholder= parameters=; return ;;
            service) _backbox_words subcommand= values= sort= coil= pulse_ms= pulse_power= hold_power= show= token= light= color= subcommand=start subcommand=stop subcommand=list_switches subcommand=list_coils subcommand=list_lights subcommand=list_shows subcommand=coil_pulse subcommand=coil_enable subcommand=coil_disable subcommand=show_play subcommand=show_stop subcommand=light_color; return ;;
            service_stop) _backbox_words; return ;;
            list_switches) _backbox_words switches=; return ;;
            list_coils) _backbox_words coils=; return ;;
            list_lights) _backbox_words lights=; return ;;
            list_shows) _backbox_words shows=; return ;;
            coil_pulse) _backbox_words error=; return ;;
            coil_enable) _backbox_words error=; return ;;
            coil_disable) _backbox_words error=; return ;;
            show_play) _backbox_words error=; return ;;
            show_stop) _backbox_words error=; return ;;
            light_color) _backbox_words error=; return ;;
            dmd_frame) _backbox_words name=; return ;;
            rgb_dmd_frame) _backbox_words name=; return ;;
            vpcom_bridge) _backbox_words subcommand= number= value= switch=; return ;;
            vpcom_bridge_response) _backbox_words result= error=; return ;;
        esac
    done
    _backbox_words hello goodbye reset reset_complete error mode_start mode_stop mode_list ball_start ball_end player_added player_turn_start player_variable machine_variable settings switch trigger register_trigger remove_trigger monitor_start monitor_stop device monitored_event driver_event status_request status_report set_machine_var evaluate_placeholder service service_stop list_switches list_coils list_lights list_shows coil_pulse coil_enable coil_disable show_play show_stop light_color dmd_frame rgb_dmd_frame vpcom_bridge vpcom_bridge_response
}

_backbox_decode() {
    if [[ -z $ended ]]; then
        case $prev in
            -m|--match) _backbox_words; return ;;
            -x|--exclude) _backbox_words; return ;;
            -F|--format) _backbox_words; return ;;
            --wire) _backbox_words bcp obe; return ;;
            --max-line) _backbox_words; return ;;
            --max-payload) _backbox_words; return ;;
            --color) _backbox_words auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then _backbox_words -m --match -x --exclude -F --format --ascii -s --string -0 --null --lint --wire --no-payload --keep-case --no-nan --fail-fast --max-line --max-payload -q --quiet --color -h --help -V --version; return; fi
    fi
    :
}

_backbox_send() {
    if [[ -z $ended ]]; then
        case $prev in
            -a|--addr) _backbox_words; return ;;
            --wire) _backbox_words bcp obe; return ;;
            --retry) _backbox_words; return ;;
            -b|--bytes) :; return ;;
            --repeat) _backbox_words; return ;;
            --every) _backbox_words; return ;;
            -e|--expect) _backbox_words; return ;;
            -n|--count) _backbox_words; return ;;
            -W|--timeout) _backbox_words; return ;;
            --fail-on) _backbox_words; return ;;
            -F|--format) _backbox_words; return ;;
            -m|--match) _backbox_words; return ;;
            -x|--exclude) _backbox_words; return ;;
            --record) :; return ;;
            --max-line) _backbox_words; return ;;
            --max-payload) _backbox_words; return ;;
            --color) _backbox_words auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then _backbox_words -a --addr --wire --retry --hello --reconnect --no-goodbye -b --bytes --force --repeat --every -e --expect -n --count -w --wait -W --timeout --no-reply --fail-on --json -F --format -m --match -x --exclude --all --record --overwrite --max-line --max-payload -v --verbose -q --quiet --color -h --help -V --version; return; fi
    fi
    local key
    for key in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        case $key in
            hello) _backbox_words version= controller_name= controller_version= gmc_version=; return ;;
            goodbye) _backbox_words; return ;;
            reset) _backbox_words; return ;;
            reset_complete) _backbox_words; return ;;
            error) _backbox_words message= command= cmd= error= kwargs=; return ;;
            mode_start) _backbox_words name= priority=; return ;;
            mode_stop) _backbox_words name=; return ;;
            mode_list) _backbox_words running_modes=; return ;;
            ball_start) _backbox_words player_num= ball=; return ;;
            ball_end) _backbox_words; return ;;
            player_added) _backbox_words player_num=; return ;;
            player_turn_start) _backbox_words player_num=; return ;;
            player_variable) _backbox_words name= value= player_num= prev_value= change=; return ;;
            machine_variable) _backbox_words name= value= prev_value= change=; return ;;
            settings) _backbox_words settings=; return ;;
            switch) _backbox_words name= state=; return ;;
            trigger) _backbox_words name=; return ;;
            register_trigger) _backbox_words event=; return ;;
            remove_trigger) _backbox_words event=; return ;;
            monitor_start) _backbox_words category= category=events category=devices category=drivers category=switches category=machine_vars category=player_vars category=modes category=core_events category=service_events category=status_request; return ;;
            monitor_stop) _backbox_words category= category=events category=devices category=drivers category=switches category=machine_vars category=player_vars category=modes category=core_events category=service_events category=status_request; return ;;
            device) _backbox_words type= name= changes= state=; return ;;
            monitored_event) _backbox_words event_name= event_type= event_callback= event_kwargs= registered_handlers=; return ;;
            driver_event) _backbox_words action= name= number= pulse_ms=; return ;;
            status_request) _backbox_words; return ;;
            status_report) _backbox_words cpu= rss= vms=; return ;;
            set_machine_var) _backbox_words name= value= persist=; return ;;
            evaluate_placeholder) _backbox_words placeholder= parameters=; return ;;
            service) _backbox_words subcommand= values= sort= coil= pulse_ms= pulse_power= hold_power= show= token= light= color= subcommand=start subcommand=stop subcommand=list_switches subcommand=list_coils subcommand=list_lights subcommand=list_shows subcommand=coil_pulse subcommand=coil_enable subcommand=coil_disable subcommand=show_play subcommand=show_stop subcommand=light_color; return ;;
            service_stop) _backbox_words; return ;;
            list_switches) _backbox_words switches=; return ;;
            list_coils) _backbox_words coils=; return ;;
            list_lights) _backbox_words lights=; return ;;
            list_shows) _backbox_words shows=; return ;;
            coil_pulse) _backbox_words error=; return ;;
            coil_enable) _backbox_words error=; return ;;
            coil_disable) _backbox_words error=; return ;;
            show_play) _backbox_words error=; return ;;
            show_stop) _backbox_words error=; return ;;
            light_color) _backbox_words error=; return ;;
            dmd_frame) _backbox_words name=; return ;;
            rgb_dmd_frame) _backbox_words name=; return ;;
            vpcom_bridge) _backbox_words subcommand= number= value= switch=; return ;;
            vpcom_bridge_response) _backbox_words result= error=; return ;;
        esac
    done
    _backbox_words hello goodbye reset reset_complete error mode_start mode_stop mode_list ball_start ball_end player_added player_turn_start player_variable machine_variable settings switch trigger register_trigger remove_trigger monitor_start monitor_stop device monitored_event driver_event status_request status_report set_machine_var evaluate_placeholder service service_stop list_switches list_coils list_lights list_shows coil_pulse coil_enable coil_disable show_play show_stop light_color dmd_frame rgb_dmd_frame vpcom_bridge vpcom_bridge_response
}

_backbox_listen() {
    if [[ -z $ended ]]; then
        case $prev in
            -a|--addr) _backbox_words; return ;;
            --announce) :; return ;;
            --as) _backbox_words media pin; return ;;
            -c|--connect) _backbox_words; return ;;
            --forward) _backbox_words; return ;;
            --wire) _backbox_words bcp obe; return ;;
            --retry) _backbox_words; return ;;
            --accept-version) _backbox_words; return ;;
            --monitor) _backbox_words events devices drivers switches machine_vars player_vars modes core_events service_events status_request all none; return ;;
            --register) _backbox_words; return ;;
            --reply) _backbox_words; return ;;
            -F|--format) _backbox_words; return ;;
            -m|--match) _backbox_words; return ;;
            -x|--exclude) _backbox_words; return ;;
            -n|--count) _backbox_words; return ;;
            -e|--expect) _backbox_words; return ;;
            -W|--timeout) _backbox_words; return ;;
            --record) :; return ;;
            --max-line) _backbox_words; return ;;
            --max-payload) _backbox_words; return ;;
            --color) _backbox_words auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then _backbox_words -a --addr --announce --as -c --connect --forward --canonical --wire --retry --reconnect --once --accept-version --monitor --register --reply --stdin --no-auto --json --meta -F --format -m --match -x --exclude -n --count -e --expect -W --timeout --record --overwrite --max-line --max-payload -v --verbose -q --quiet --color -h --help -V --version; return; fi
    fi
    _backbox_words
}

_backbox_replay() {
    if [[ -z $ended ]]; then
        case $prev in
            --from) _backbox_words session bcp mpf-file mpf-console mpf-json mpf-mc gmc monitor-cache; return ;;
            --conn) _backbox_words; return ;;
            -a|--addr) _backbox_words; return ;;
            --retry) _backbox_words; return ;;
            --announce) :; return ;;
            --speed) _backbox_words; return ;;
            --rate) _backbox_words; return ;;
            --max-gap) _backbox_words; return ;;
            --repeat) _backbox_words; return ;;
            -W|--timeout) _backbox_words; return ;;
            --ignore) _backbox_words; return ;;
            --exclude) _backbox_words; return ;;
            --any-order) _backbox_words; return ;;
            --reply-timeout) _backbox_words; return ;;
            --junit) :; return ;;
            --record) :; return ;;
            --max-line) _backbox_words; return ;;
            --max-payload) _backbox_words; return ;;
            --color) _backbox_words auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then _backbox_words --from --conn --dry-run -a --addr --retry --loopback --serve --announce --speed --rate --max-gap --repeat -W --timeout --check --ignore --exclude --any-order --exact --reply-timeout --fail-fast --update --junit --record --overwrite --max-line --max-payload -v --verbose -q --quiet --color -h --help -V --version; return; fi
    fi
    :
}

_backbox() {
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
        _backbox_words encode decode send listen replay help -h --help -V --version --completions
        return 0
    fi
    case ${COMP_WORDS[1]} in
        encode) _backbox_encode ;;
        decode) _backbox_decode ;;
        send) _backbox_send ;;
        listen) _backbox_listen ;;
        replay) _backbox_replay ;;
        help) _backbox_words encode decode send listen replay ;;
        --completions) _backbox_words bash zsh fish ;;
        *) _backbox_words ;;
    esac
    return 0
}
complete -o bashdefault -o default -F _backbox backbox
