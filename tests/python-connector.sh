#!/bin/sh
# Builds the connector in a folder of Python and packs it: python-connector.sh FOLDER MANIFEST RAITO
#
# componentize-py stands in a virtual environment below target/, made of the pinned wheels of requirements.txt. What is newer
# than its sources is not built again: it takes a minute.
set -eu
folder=$1 manifest=$2 raito=$3
name=$(basename "$folder")
environment=target/python
out=target/connectors/$name.wasm

wanted=$(sha256sum "$folder/requirements.txt")
if [ "$(cat "$environment/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r "$folder/requirements.txt"
    echo "$wanted" >"$environment/installed"
fi

if [ -e "$out" ] && [ -z "$(find "$folder" wit/connector "$manifest" "$0" -type f -newer "$out" ! -name '*.pyc' | head -1)" ]; then
    exit 0
fi
mkdir -p target/connectors
"$environment/bin/componentize-py" --quiet -d wit/connector -d "$folder/wit" -w "raito:$name/$name" \
    componentize --stub-wasi -p "$folder" -o "target/python/$name.wasm" app
"$raito" connector pack "target/python/$name.wasm" "$manifest" -o "$out"
