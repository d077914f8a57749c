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
