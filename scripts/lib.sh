# Shared by the scripts of this folder; sourced, not run.

say() {
    printf '== %s\n' "$*"
}

fail() {
    printf '== %s\n' "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Debian packages, from a list that may be stale or empty. Fails where this is not Debian or we are not root.
install_packages() {
    have apt-get && [[ $(id -u) == 0 ]] || return 1
    local log
    log=$(DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" 2>&1) ||
        log=$({ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } 2>&1) ||
        { printf '%s\n' "$log" >&2; return 1; }
}

# The contents of Debian packages, into folder $1, without installing them.
unpack_packages() {
    local folder=$1 package
    shift
    (cd "$folder" && { apt-get download "$@" || { apt-get update && apt-get download "$@"; }; }) || return 1
    for package in "$folder"/*.deb; do
        dpkg -x "$package" "$folder" || return 1
    done
}

debian_mirror() {
    local mirror
    mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null) || true
    echo "${AMQP1_DEBIAN_MIRROR:-${mirror:-http://deb.debian.org/debian}}"
}

# Built quickly rather than to run fast: a check takes less than a second either way.
install_cargo_deny() {
    cargo deny --version >/dev/null 2>&1 ||
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
            cargo install --locked --quiet --version '^0.20' cargo-deny
}
