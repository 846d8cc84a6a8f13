#!/bin/sh
# Checks licences, bans and sources of all dependencies with cargo-deny, where it is installed.
set -eu
if command -v cargo-deny >/dev/null 2>&1; then
    cargo deny --config .cargo/deny.toml --offline check bans licenses sources
else
    echo "cargo-deny is not installed: licences are not checked (cargo install --locked cargo-deny)" >&2
fi
