# Qpid Proton for Python from PyPI; its broker and programs from Debian's examples. Sourced by scripts/peers.

proton_version=0.40.0
proton_build=cyrus
proton_package=libqpid-proton11-dev-examples

proton_is_installed() {
    [[ $(cat "$peers/proton/installed" 2>/dev/null) == "$proton_version $proton_build" ]]
}

proton_install() {
    local home=$peers/proton python=${AMQP1_PYTHON:-python3}
    rm -rf "$home" && mkdir -p "$home/deb"
    proton_needs || install_packages gcc libssl-dev libsasl2-dev libsasl2-modules libsasl2-modules-db \
        python3 python3-dev python3-venv || { echo "no gcc, OpenSSL and Cyrus SASL headers, or Python with venv"; return 1; }
    "$python" -m venv "$home/venv"
    # Built here: a wheel in pip's cache may be one that was built without Cyrus SASL, and offers no PLAIN.
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir \
        "python-qpid-proton==$proton_version"
    "$home/venv/bin/python" -c 'import proton; assert proton.SASL.extended(), "built without Cyrus SASL"'
    unpack_packages "$home/deb" "$proton_package" sasl2-bin
    mv "$home/deb/usr/share/proton/examples/python" "$home/examples"
    mv "$home/deb/usr/sbin/saslpasswd2" "$home/"
    rm -r "$home/deb"
    echo "$proton_version $proton_build" >"$home/installed"
}

proton_needs() {
    have gcc && [[ -e /usr/include/openssl/ssl.h && -e /usr/include/sasl/sasl.h ]] &&
        "$python" -c 'import ensurepip, os, sysconfig, sys
sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))'
}

# Without this file Cyrus offers a dozen mechanisms, none of which knows a user.
proton_configure() {
    rm -rf "$1" && mkdir -p "$1"
    cat >"$1/proton-server.conf" <<C
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: $1/users
mech_list: SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ANONYMOUS EXTERNAL
C
    printf guest | "$peers/proton/saslpasswd2" -p -c -f "$1/users" -u "$(hostname)" guest
}

proton_start() {
    local port
    port=$(pick_port AMQP1_PROTON_PORT 5771)
    proton_configure "$peers/proton/sasl"
    PN_SASL_CONFIG_PATH=$peers/proton/sasl spawn proton \
        "$peers/proton/venv/bin/python" "$peers/proton/examples/broker.py" -a "127.0.0.1:$port"
    wait_for proton 20 listens "$port"
    echo "127.0.0.1:$port" >"$run/proton.address"
}

proton_stop() {
    end proton
}

# Where the client programs are.
proton_env() {
    proton_is_installed || return 0
    echo "export AMQP1_PROTON_PYTHON=$peers/proton/venv/bin/python"
    echo "export AMQP1_PROTON_EXAMPLES=$peers/proton/examples"
}

proton_program() {
    timeout 30 "$peers/proton/venv/bin/python" "$peers/proton/examples/$1" "${@:2}"
}
