#!/usr/bin/env bash
# How long the quickstart compiles, and the same program on socketioxide and axum: all of it, and after a handler is
# edited. Prints a table in Markdown; seconds, a debug build, the incremental one a median of three.
set -euo pipefail
cd "$(dirname "$0")/../../.."

export CARGO_TARGET_DIR
CARGO_TARGET_DIR=$(mktemp -d)
edited=
backup=$(mktemp)
restore() {
    if [ -n "$edited" ]; then cp "$backup" "$edited"; edited=; fi
}
trap 'restore; rm -rf "$CARGO_TARGET_DIR" "$backup"' EXIT

build() { # PACKAGE: prints the seconds it took
    local begin end
    begin=$(date +%s%N)
    cargo build --locked --quiet --package "$1"
    end=$(date +%s%N)
    awk -v t=$((end - begin)) 'BEGIN { printf "%.2f\n", t / 1e9 }'
}

cargo fetch --locked --quiet
echo "| | clean | after an edit | crates |"
echo "|---|--:|--:|--:|"
for program in quickstart:examples/quickstart quickstart-raw:tests/bench/compile; do
    package=${program%%:*}
    source=${program#*:}/src/main.rs
    rm -rf "${CARGO_TARGET_DIR:?}"/*
    clean=$(build "$package")
    cp "$source" "$backup"
    edited=$source
    seconds=()
    for edit in one two three; do
        sed "s/name the desk to check in at/name the desk to check in at, $edit/" "$backup" > "$source"
        seconds+=("$(build "$package")")
    done
    restore
    median=$(printf '%s\n' "${seconds[@]}" | sort -n | sed -n 2p)
    crates=$(cargo tree --locked --package "$package" --edges normal,build --prefix none --format '{p}' | sed 's, (\*)$,,' | sort -u | wc -l)
    echo "| $package | $clean s | $median s | $crates |"
done
