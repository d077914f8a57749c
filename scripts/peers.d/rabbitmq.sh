# RabbitMQ 4 of Debian's trixie, in a folder that it is chrooted to: its Erlang needs a newer libc than bookworm's, and
# nothing of it touches the system this way. One node is a peer of its own; three more can be brought up as a cluster.
# Sourced by scripts/peers.

rabbitmq_is_installed() {
    [[ -e $peers/rabbitmq/usr/lib/rabbitmq/bin/rabbitmq-server ]]
}

rabbitmq_install() {
    [[ $(id -u) == 0 ]] || { echo "needs root"; return 1; }
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    have mmdebstrap && [[ -e $keyring ]] || install_packages mmdebstrap debian-archive-keyring ||
        { echo "mmdebstrap cannot be installed"; return 1; }
    local new=$peers/rabbitmq.new
    rm -rf "$new"
    mmdebstrap --variant=minbase --include=rabbitmq-server --aptopt='APT::Install-Recommends "false"' \
        trixie "$new" "deb [signed-by=$keyring] $(debian_mirror) trixie main"
    rm -rf "$peers/rabbitmq" && mv "$new" "$peers/rabbitmq"
}

rabbitmq_start() {
    local port own
    port=$(pick_port AMQP1_RABBITMQ_PORT 5772)
    own=$(free_ports 3)
    rabbitmq_names rabbitmq-names "$own"
    rabbitmq_configure rabbitmq "$port" "$own" $((own + 1)) "load_definitions = /etc/rabbitmq/definitions.json" \
        "listeners.ssl.1 = 127.0.0.1:$((own + 2))" \
        "ssl_options."{cacertfile=/etc/rabbitmq/tls/ca.pem,certfile=/etc/rabbitmq/tls/server.pem} \
        "ssl_options."{keyfile=/etc/rabbitmq/tls/server.key,verify=verify_peer,fail_if_no_peer_cert=false} \
        "auth_mechanisms."{1=PLAIN,2=ANONYMOUS,3=EXTERNAL} "ssl_cert_login_from = common_name"
    echo '[rabbitmq_auth_mechanism_ssl].' >"$peers/rabbitmq/var/lib/rabbitmq/rabbitmq/enabled_plugins"
    tls_make
    rm -rf "$peers/rabbitmq/etc/rabbitmq/tls" && cp -r "$tls" "$peers/rabbitmq/etc/rabbitmq/tls"
    chown -R "$(rabbitmq_user)" "$peers/rabbitmq/etc/rabbitmq/tls"
    cp "$project/scripts/peers.d/rabbitmq.json" "$peers/rabbitmq/etc/rabbitmq/definitions.json"
    rabbitmq_boot rabbitmq
    wait_for rabbitmq 90 rabbitmq_serves rabbitmq
    echo "127.0.0.1:$((own + 2))" >"$run/rabbitmq.tls"
    echo "127.0.0.1:$port" >"$run/rabbitmq.address"
}

rabbitmq_stop() {
    end rabbitmq
    end rabbitmq-names
}

rabbitmq_env() {
    rabbitmq_is_installed || return 0
    echo "export AMQP1_RABBITMQ_CLUSTER=$peers"
    if is_alive rabbitmq && [[ -e $run/rabbitmq.tls ]]; then
        echo "export AMQP1_RABBITMQ_TLS=$(<"$run/rabbitmq.tls") AMQP1_RABBITMQ_TLS_FILES=$tls"
    fi
}

# What node $1 begins with: it listens at $2, finds others by the name server at $3, talks to them at $4, all on loopback;
# further lines of its configuration follow.
rabbitmq_configure() {
    local name=$1 port=$2 names=$3 distribution=$4 data=/var/lib/rabbitmq/$1
    local folder=$peers/rabbitmq$data
    rm -rf "${folder:?}" && mkdir -p "$folder"
    echo '[].' >"$folder/enabled_plugins"
    printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$port" 'vm_memory_calculation_strategy = erlang' 'log.console = true' \
        "${@:5}" >"$folder/rabbitmq.conf"
    cat >"$folder/env.sh" <<C
export HOME=$data LANG=C.UTF-8 ERL_EPMD_PORT=$names ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=$name@localhost RABBITMQ_DIST_PORT=$distribution RABBITMQ_LOGS=-
export RABBITMQ_MNESIA_BASE=$data/mnesia RABBITMQ_LOG_BASE=$data/log
export RABBITMQ_PID_FILE=$data/pid RABBITMQ_CONFIG_FILE=$data/rabbitmq
export RABBITMQ_ENABLED_PLUGINS_FILE=$data/enabled_plugins
export RABBITMQ_CONF_ENV_FILE=$data/none RABBITMQ_FEATURE_FLAGS_FILE=$data/feature_flags
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
C
    chown -R "$(rabbitmq_user)" "$folder"
}

rabbitmq_user() {
    awk -F: '$1 == "rabbitmq" { print $3 ":" $4 }' "$peers/rabbitmq/etc/passwd"
}

# Erlang's name server, as process $1 at port $2: a node would otherwise start one that outlives it.
rabbitmq_names() {
    spawn "$1" chroot --userspec="$(rabbitmq_user)" "$peers/rabbitmq" /usr/bin/epmd -address 127.0.0.1 -port "$2"
}

# Starts node $1 with what it had when it ended, or with what it was configured with.
rabbitmq_boot() {
    local data=/var/lib/rabbitmq/$1
    spawn "$1" chroot --userspec="$(rabbitmq_user)" "$peers/rabbitmq" /bin/sh -c \
        ". $data/env.sh; cd $data; exec /usr/lib/rabbitmq/bin/rabbitmq-server"
}

# Has the node $1 do what else it can be told.
rabbitmq_control() {
    local data=/var/lib/rabbitmq/$1
    timeout 60 chroot --userspec="$(rabbitmq_user)" "$peers/rabbitmq" /bin/sh -c \
        '. "$0/env.sh"; cd "$0"; exec /usr/lib/rabbitmq/bin/rabbitmqctl --quiet "$@"' "$data" "${@:2}"
}

rabbitmq_serves() {
    grep -q 'Server startup complete' "$run/$1.log"
}
