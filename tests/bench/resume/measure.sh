#!/usr/bin/env bash
# What it costs that clients can resume: echoes and broadcasts with it and without by turns, clients that all come back, and the memory of what is
# kept. Prints a table in Markdown. `RUNS` is how often each is measured, 3 unless set; medians are shown.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=${CARGO_TARGET_DIR:-target}/release
results=$(mktemp)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi; rm -f "$results"' EXIT
ulimit -n "$(ulimit -Hn)"
port=$((20000 + $$ % 10000))

measure() { # NAME CHANNELS EVENTS BYTES ARGUMENTS...: appends NAME and the measurement to the results
    local name=$1 channels=$2 events=$3 bytes=$4
    shift 4
    port=$((port + 1))
    CAROLINA_BIND=127.0.0.1:$port RUST_LOG=warn CAROLINA_SESSION__SECRET="not a secret: nobody logs in while it is measured" \
        CAROLINA_LIMITS__EVENTS_PER_SECOND=100000000 CAROLINA_LIMITS__MAILBOX=4096 CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS=100000 \
        CAROLINA_RESUME__CHANNELS=$channels CAROLINA_RESUME__EVENTS=$events CAROLINA_RESUME__BYTES=$bytes \
        taskset --cpu-list 0 "$folder/bench-carolina" > /dev/null &
    server=$!
    until (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do sleep 0.05; done
    printf '{"name":"%s","metrics":%s}\n' "$name" \
        "$(taskset --cpu-list 1 "$folder/bench-load" --server "127.0.0.1:$port" --process "$server" "$@")" >> "$results"
    kill "$server"
    wait "$server" || true
    server=
}

for _ in $(seq "${RUNS:-3}"); do
    for workload in "echo --clients 100 --in-flight 8 --bytes 64 --seconds 3" "broadcast --in-flight 8 --seconds 3"; do
        name=${workload%% *}
        # shellcheck disable=SC2086 # the words of a workload are arguments
        measure "$name off" none 1000 1MB $workload
        # shellcheck disable=SC2086
        measure "$name on" all 1000 1MB --resume $workload
    done
    measure return all 1000 1MB --resume return --seconds 2
    measure kept all 200000 1GB --resume kept
    measure "kept off" none 1000 1MB kept
done

python3 - "$results" << 'END'
import json, statistics, sys

found = {}
for line in open(sys.argv[1]):
    record = json.loads(line)
    for metric, value in record["metrics"].items():
        found.setdefault((record["name"], metric), []).append(value)
value = lambda name, metric: statistics.median(found[name, metric])
print("| | off | on | on ÷ off |\n|---|--:|--:|--:|")
for name, label in (("echo", "echo 64 B, 100 × 8: msg/s"), ("broadcast", "broadcast to 1,000, window 8: deliveries/s")):
    off, on = (value(f"{name} {which}", "messages_per_second") for which in ("off", "on"))
    print(f"| {label} | {off:,.0f} | {on:,.0f} | {on / off:.2f} |")
print()
for metric in ("all_resumed_ms", "resume_p50_us", "resume_p99_us", "calm_p99_us", "others_p99_us", "connected_bytes_per_client",
               "away_bytes_per_client", "resumed_bytes_per_client"):
    print(f"{metric}: {value('return', metric):,.0f}")
for name in ("kept", "kept off"):
    print(f"{name}: {value(name, 'bytes_per_event'):,.0f} bytes per event")
END
