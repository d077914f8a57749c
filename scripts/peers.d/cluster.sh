# Three RabbitMQ nodes as a cluster, on loopback and in the folder of peer rabbitmq; for what becomes of clients when a node
# goes. Sourced by scripts/peers.

cluster_nodes=(cluster-1 cluster-2 cluster-3)

cluster() {
    local name
    rabbitmq_is_installed || attempt rabbitmq install || fail "a cluster needs RabbitMQ installed here"
    case ${1:-} in
        up) cluster_up ;;
        down) cluster_stop ;;
        kill)
            name=$(cluster_node "${2:-}")
            kill_now "$name"
            ;;
        start)
            name=$(cluster_node "${2:-}")
            cluster_start "$name"
            ;;
        *) fail "cluster up | down | kill N | start N" ;;
    esac
}

cluster_node() {
    [[ $1 == [123] ]] || fail "which node, 1, 2 or 3?"
    echo "cluster-$1"
}

# Whoever comes first is the one that the others join.
cluster_up() {
    local first name port lines=('cluster_formation.peer_discovery_backend = classic_config')
    cluster_stop
    first=$(free_ports 7)
    for name in "${cluster_nodes[@]}"; do
        lines+=("cluster_formation.classic_config.nodes.${name#cluster-} = $name@localhost")
    done
    rabbitmq_names cluster-names "$first"
    port=$first
    for name in "${cluster_nodes[@]}"; do
        rabbitmq_configure "$name" $((port + 1)) "$first" $((port + 2)) "${lines[@]}"
        cluster_share_cookie "$name"
        echo "127.0.0.1:$((port + 1))" >"$run/$name.address"
        rabbitmq_boot "$name"
        port=$((port + 2))
    done
    for name in "${cluster_nodes[@]}"; do
        wait_for "$name" 120 rabbitmq_serves "$name"
        address "$name"
    done
}

# Nodes that know the same cookie let each other in; they refuse to start where others may read it.
cluster_share_cookie() {
    local cookie=$peers/rabbitmq/var/lib/rabbitmq/$1/.erlang.cookie
    printf amqp1 >"$cookie"
    chown "$(rabbitmq_user)" "$cookie"
    chmod 400 "$cookie"
}

cluster_start() {
    is_alive cluster-names || fail "the cluster is not up"
    if is_alive "$1"; then fail "$1 runs already"; fi
    rabbitmq_boot "$1"
    wait_for "$1" 120 rabbitmq_serves "$1"
}

cluster_stop() {
    local name
    for name in "${cluster_nodes[@]}"; do
        if is_alive "$name"; then kill_now "$name"; fi
    done
    end cluster-names
}
