# Ports and processes of scripts/peers; sourced, not run. What is known of process NAME lies in `$run/NAME.*`.

# The first of $1 ports in a row that nobody listens on, below the range the kernel hands out by itself.
free_ports() {
    local first port
    while first=$((20000 + RANDOM % 10000)); do
        for ((port = first; port < first + $1; port++)); do
            if listens "$port"; then continue 2; fi
        done
        echo "$first"
        return
    done
}

# The port that variable $1 asks for: a number (by default $2), or `auto`; where $3 is given, the first of so many.
pick_port() {
    local first=${!1:-$2} count=${3:-1} port
    if [[ $first == auto ]]; then
        free_ports "$count"
        return
    fi
    for ((port = first; port < first + count; port++)); do
        if listens "$port"; then
            echo "port $port is taken: choose another, or auto, by $1" >&2
            return 1
        fi
    done
    echo "$first"
}

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Starts process $1 in a session of its own, so that it outlives this script but not its lifetime.
spawn() {
    local name=$1
    setsid timeout --kill-after=10 "$lifetime" "${@:2}" >"$run/$name.log" 2>&1 </dev/null 9>&- &
    echo "$! $(started_at $!)" >"$run/$name.process"
}

# Tells a process from a later one that was given the same id.
started_at() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

is_alive() {
    local id time
    read -r id time 2>/dev/null <"$run/$1.process" && [[ -n $time && $(started_at "$id") == "$time" ]]
}

# Where peer $1 was last seen to serve.
address() {
    cat "$run/$1.address" 2>/dev/null || true
}

# Ends process $1 and all that it started, without asking.
kill_now() {
    local id _
    is_alive "$1" || { echo "$1 does not run"; return 1; }
    read -r id _ <"$run/$1.process"
    kill -KILL -- "-$id"
    rm -f "$run/$1.process"
}

end() {
    local id _ attempt
    is_alive "$1" || { rm -f "$run/$1.process"; return 0; }
    read -r id _ <"$run/$1.process"
    kill -TERM "$id"
    for attempt in {1..100}; do
        is_alive "$1" || break
        sleep 0.1
    done
    if is_alive "$1"; then kill -KILL -- "-$id"; fi
    rm -f "$run/$1.process"
}

# Waits for a command to succeed: at most $2 seconds, and only while process $1 lives.
wait_for() {
    local deadline=$((SECONDS + $2))
    until "${@:3}"; do
        is_alive "$1" || { tail -n 20 "$run/$1.log"; echo "$1 ended at once"; return 1; }
        [[ $SECONDS -lt $deadline ]] || { tail -n 20 "$run/$1.log"; echo "$1 does not serve after $2 s"; return 1; }
        sleep 0.2
    done
}
