#!/bin/sh
# Fuzzes each target for some seconds, with libFuzzer and the pinned toolchain. What is found lands in target/fuzz/found.
#
# usage: run.sh [SECONDS] [TARGET]...
#
# The flags are those that cargo-fuzz gives for coverage. All of them are stable; only sanitizers are not, and in code that has a
# few lines of `unsafe`, none of which reads what comes from outside, there is little for them to find.
set -eu
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
[ $# -eq 0 ] || shift
targets="${*:-manifest placeholders configuration statements texts code documents filters audit answers component messages orders}"
host="$(rustc -vV | sed -n 's/^host: //p')"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
names=""
for target in $targets; do names="$names --bin fuzz-$target"; done
# With --target, the flags are for what is fuzzed, and not for what builds it.
# shellcheck disable=SC2086
RUSTFLAGS="$coverage" "${CARGO:-cargo}" build -p raito-fuzz --features libfuzzer --profile fuzz --target "$host" \
    --target-dir target/fuzz $names
status=0
for target in $targets; do
    known="target/fuzz/known/$target"
    mkdir -p "$known" target/fuzz/found
    echo "fuzzing $target for $seconds s"
    if ! "target/fuzz/$host/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/found/$target-" "$known" "tests/fuzz/corpus/$target" >"$known.log" 2>&1; then
        status=1
        tail -n 40 "$known.log"
        echo "$target panics: copy the file from target/fuzz/found to tests/fuzz/corpus/$target, which makes it a test"
    fi
    grep -E '^stat::(number_of_executed_units|new_units_added|peak_rss_mb)|^#.*DONE' "$known.log" || true
done
exit $status
