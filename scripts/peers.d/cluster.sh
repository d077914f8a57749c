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

# Whoever comes first is the one that the others join. The queue `examples` has a copy on each node: it is made when all are there.
cluster_up() {
    local port own name lines=('cluster_formation.peer_discovery_backend = classic_config')
    cluster_stop
    port=$(pick_port AMQP1_CLUSTER_PORT 5781 3)
    own=$(free_ports 4)
    for name in "${cluster_nodes[@]}"; do
        lines+=("cluster_formation.classic_config.nodes.${name#cluster-} = $name@localhost")
    done
    rabbitmq_names cluster-names "$own"
    for name in "${cluster_nodes[@]}"; do
        rabbitmq_configure "$name" "$port" "$own" $((own + ${name#cluster-})) "${lines[@]}"
        cluster_share_cookie "$name"
        echo "127.0.0.1:$port" >"$run/$name.address"
        rabbitmq_boot "$name"
        port=$((port + 1))
    done
    for name in "${cluster_nodes[@]}"; do
        wait_for "$name" 120 rabbitmq_serves "$name"
    done
    cluster_definitions >"$peers/rabbitmq/var/lib/rabbitmq/cluster-1/definitions.json"
    rabbitmq_control cluster-1 import_definitions /var/lib/rabbitmq/cluster-1/definitions.json >/dev/null
    for name in "${cluster_nodes[@]}"; do
        address "$name"
    done
}

cluster_definitions() {
    cat <<C
{
  "queues": [
    {"name": "examples", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {"x-queue-type": "quorum"}}
  ]
}
C
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
