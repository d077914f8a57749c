# rhea, an AMQP 1.0 library for Node.js, from npm: a client and a server are written with it by the tests. Sourced by
# scripts/peers.

rhea_version=3.0.5
# Its WebSockets.
ws_version=8.23.0

rhea_is_installed() {
    [[ $(cat "$peers/rhea/installed" 2>/dev/null) == "$rhea_version $ws_version" ]]
}

rhea_install() {
    local home=$peers/rhea
    have node && have npm || install_packages nodejs npm || { echo "no Node.js with npm"; return 1; }
    rm -rf "$home" && mkdir -p "$home"
    npm install --prefix "$home" --no-audit --no-fund --ignore-scripts --silent "rhea@$rhea_version" "ws@$ws_version" ||
        { echo "rhea $rhea_version cannot be had from npm"; return 1; }
    echo "$rhea_version $ws_version" >"$home/installed"
}

rhea_env() {
    if rhea_is_installed; then echo "export AMQP1_RHEA=$peers/rhea/node_modules"; fi
}
