# RabbitMQ 4 of Debian's trixie, in a folder that it is chrooted to: its Erlang needs a newer libc than bookworm's, and
# nothing of it touches the system this way. Sourced by scripts/peers.

rabbitmq_node=amqp1
rabbitmq_data=/var/lib/rabbitmq/$rabbitmq_node

rabbitmq_is_given() {
    [[ -n ${AMQP1_RABBITMQ:-} && $AMQP1_RABBITMQ != "$(rabbitmq_address)" ]]
}

rabbitmq_is_installed() {
    [[ -e $peers/rabbitmq/usr/lib/rabbitmq/bin/rabbitmq-server ]]
}

rabbitmq_address() {
    cat "$run/rabbitmq.address" 2>/dev/null || true
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
    [[ $(id -u) == 0 ]] || { echo "needs root"; return 1; }
    local root=$peers/rabbitmq port names distribution user
    port=$(pick_port AMQP1_RABBITMQ_PORT 5772)
    names=$(free_port)
    distribution=$(free_port)
    rm -rf "${root:?}$rabbitmq_data" && mkdir -p "$root$rabbitmq_data"
    rabbitmq_configure "$root$rabbitmq_data"
    user=$(awk -F: '$1 == "rabbitmq" { print $3 ":" $4 }' "$root/etc/passwd")
    chown -R "$user" "$root$rabbitmq_data"
    # Erlang's name server would otherwise be started by the node and outlive it.
    spawn rabbitmq-names chroot --userspec="$user" "$root" /usr/bin/epmd -address 127.0.0.1 -port "$names"
    spawn rabbitmq chroot --userspec="$user" "$root" /bin/sh -c \
        ". $rabbitmq_data/env.sh; cd $rabbitmq_data; exec /usr/lib/rabbitmq/bin/rabbitmq-server"
    wait_for rabbitmq 90 grep -q 'Server startup complete' "$run/rabbitmq.log"
    echo "127.0.0.1:$port" >"$run/rabbitmq.address"
}

# Everything on loopback, the definitions loaded before the first client comes.
rabbitmq_configure() {
    cp "$project/scripts/peers.d/rabbitmq.json" "$1/definitions.json"
    echo '[].' >"$1/enabled_plugins"
    cat >"$1/rabbitmq.conf" <<C
listeners.tcp.1 = 127.0.0.1:$port
load_definitions = $rabbitmq_data/definitions.json
vm_memory_calculation_strategy = erlang
log.console = true
C
    cat >"$1/env.sh" <<C
export HOME=$rabbitmq_data LANG=C.UTF-8 ERL_EPMD_PORT=$names ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=$rabbitmq_node@localhost RABBITMQ_DIST_PORT=$distribution RABBITMQ_LOGS=-
export RABBITMQ_MNESIA_BASE=$rabbitmq_data/mnesia RABBITMQ_LOG_BASE=$rabbitmq_data/log
export RABBITMQ_PID_FILE=$rabbitmq_data/pid RABBITMQ_CONFIG_FILE=$rabbitmq_data/rabbitmq
export RABBITMQ_ENABLED_PLUGINS_FILE=$rabbitmq_data/enabled_plugins
export RABBITMQ_CONF_ENV_FILE=$rabbitmq_data/none RABBITMQ_FEATURE_FLAGS_FILE=$rabbitmq_data/feature_flags
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
C
}

rabbitmq_stop() {
    end rabbitmq
    end rabbitmq-names
}

debian_mirror() {
    local mirror
    mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null) || true
    echo "${AMQP1_DEBIAN_MIRROR:-${mirror:-http://deb.debian.org/debian}}"
}
