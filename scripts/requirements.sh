# Sourced by the other scripts: finds what the package needs on this system, and installs what is missing.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "installing packages needs root, and there is no sudo. As root, run: $*"
    fi
}

# install_packages WHAT APT DNF APK BREW: each a list of names for that package manager, '' where there is none.
install_packages() {
    local what=$1 apt=$2 dnf=$3 apk=$4 brew=$5
    say "$what is missing: installing it"
    # The lists are split into names on purpose. Nobody is asked anything, and standard output stays the caller's.
    # shellcheck disable=SC2086
    if command -v apt-get >/dev/null 2>&1; then
        as_root apt-get update -q </dev/null >&2
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $apt </dev/null >&2
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf install -y $dnf </dev/null >&2
    elif command -v yum >/dev/null 2>&1; then
        as_root yum install -y $dnf </dev/null >&2
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-progress $apk </dev/null >&2
    elif command -v brew >/dev/null 2>&1; then
        brew install $brew </dev/null >&2
    else
        fail "no apt-get, dnf, yum, apk or brew here: install $what by hand"
    fi
}

require_swift() {
    command -v swift >/dev/null 2>&1 ||
        fail "swift was not found in PATH. Install Swift 6.2 or later: https://www.swift.org/install"
    command -v git >/dev/null 2>&1 || install_packages git git git git git
}

# The headers of libpq 14 or later, and what its pkg-config file refers to.
require_libpq() {
    if ! libpq_is_there; then
        install_packages "libpq (development files)" "libpq-dev libssl-dev pkg-config" \
            "libpq-devel openssl-devel pkgconf-pkg-config" "libpq-dev openssl-dev pkgconf" "libpq pkgconf"
        libpq_is_there || fail "libpq 14 or later was not found by pkg-config after its installation"
    fi
}

libpq_is_there() {
    # Homebrew does not link libpq into its common folders.
    if command -v brew >/dev/null 2>&1; then
        PKG_CONFIG_PATH="$(brew --prefix libpq 2>/dev/null)/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
        export PKG_CONFIG_PATH
    fi
    command -v pkg-config >/dev/null 2>&1 && pkg-config --atleast-version=14 libpq && pkg-config --cflags libpq >/dev/null
}

# Prints the folder of initdb, postgres and pg_ctl, of the highest version.
server_folder() {
    local folder
    while IFS= read -r folder; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_ctl" ]; then
            printf '%s\n' "$folder"
            return 0
        fi
    done < <(server_folders)
    return 1
}

server_folders() {
    local initdb
    if initdb=$(command -v initdb 2>/dev/null); then dirname "$initdb"; fi
    if command -v pg_config >/dev/null 2>&1; then pg_config --bindir; fi
    # Debian and Ubuntu, PGDG's packages on Fedora and RHEL, Alpine, Homebrew, Postgres.app.
    printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin | sort -rV 2>/dev/null
}

require_server() {
    if ! server_folder >/dev/null; then
        install_packages "PostgreSQL's server" "postgresql" "postgresql-server" "postgresql" "postgresql@17"
        server_folder >/dev/null || fail "initdb, postgres and pg_ctl were not found after the server's installation"
    fi
}

require_openssl() {
    command -v openssl >/dev/null 2>&1 || install_packages openssl openssl openssl openssl openssl
}

# Its Debian package starts a service of its own, on a port that tests do not use.
require_pgbouncer() {
    PATH=$PATH:/usr/sbin
    command -v pgbouncer >/dev/null 2>&1 || install_packages pgbouncer pgbouncer pgbouncer pgbouncer pgbouncer
}
