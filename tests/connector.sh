#!/bin/sh
# Builds the connector in a folder and packs it: connector.sh FOLDER RAITO
set -eu
name=$(basename "$1")
cargo build --quiet --profile connector --target wasm32-wasip2 -p "$name"
mkdir -p target/connectors
"$2" connector pack "target/wasm32-wasip2/connector/$name.wasm" "$1/connector.toml" -o "target/connectors/$name.wasm"
