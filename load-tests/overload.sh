#!/usr/bin/env bash
# What beyond capacity looks like: a slow upstream is offered four times what it can do, by clients of two plans that give
# up after a second. Once with an adaptive limit, once without any. Takes some two minutes.
#
#   load-tests/overload.sh              # builds the gateway, or takes $GATEWAY_BIN
#   SECONDS_EACH=5 load-tests/overload.sh
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
each=${SECONDS_EACH:-20}
# What the upstream can do: so many at once, each in so many milliseconds.
width=8 millis=20
capacity=$((width * 1000 / millis))
limit='concurrency = { max = 500, adaptive = true, queue = 20, queue-timeout = "250ms", plans = ["free", "premium"] }'

for tool in python3 taskset curl; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done
if [ -z "${GATEWAY_BIN-}" ]; then
    cargo build --release --locked --manifest-path "$root/Cargo.toml" -p gateway
    GATEWAY_BIN="${CARGO_TARGET_DIR:-$root/target}/release/gateway"
fi

work=$(mktemp -d)
pids=()
clean() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
last_core=$(($(nproc) - 1))

# begin LIMIT: starts upstream and gateway anew; nothing is left of what was queued before.
begin() {
    port=$(free_port) backend=$(free_port) admin=$(free_port)
    sed -e "s|@PORT@|$port|" -e "s|@BACKEND@|$backend|" -e "s|@ADMIN@|$admin|" -e "s|@DIR@|$work|" \
        -e "s|@LIMIT@|$1|" "$here/contestants/gateway-overload.toml" >"$work/gateway.toml"
    taskset -c "$last_core" python3 "$here/overload.py" upstream "$backend" "$width" "$millis" >>"$work/upstream.out" 2>&1 &
    pids=("$!")
    taskset -c 0 "$GATEWAY_BIN" run "$work/gateway.toml" >>"$work/gateway.out" 2>&1 &
    pids+=("$!")
    for _ in $(seq 100); do
        curl -sf -o /dev/null "http://127.0.0.1:$admin/readyz" && return
        sleep 0.1
    done
    cat "$work/gateway.out" >&2
    exit 1
}
end() {
    for pid in "${pids[@]}"; do kill "$pid"; done
    wait "${pids[@]}" 2>/dev/null || true
    pids=()
}

# offer RATE SECONDS
offer() { taskset -c "$last_core" python3 "$here/overload.py" load "$port" "$1" "$2"; }

declare -A told
for kind in adaptive none; do
    if [ "$kind" = adaptive ]; then begin "$limit"; else begin ""; fi
    echo "$kind: half of what the upstream can do, to warm up …" >&2
    offer $((capacity / 2)) 5 >/dev/null
    echo "$kind: nine tenths …" >&2
    told[$kind-peak]=$(offer $((capacity * 9 / 10)) $((each / 2)))
    echo "$kind: four times as much …" >&2
    told[$kind-four]=$(offer $((capacity * 4)) "$each")
    end
done

report="$here/results/$(date +%F)-$commit-overload.md"
mkdir -p "$(dirname "$report")"
python3 - "$commit" "$capacity" "$each" "$width" "$millis" "$limit" \
    "${told[adaptive-peak]}" "${told[adaptive-four]}" "${told[none-peak]}" "${told[none-four]}" <<'PY' | tee "$report"
import json, platform, sys
commit, capacity, each, width, millis, limit = sys.argv[1:7]
runs = [json.loads(text) for text in sys.argv[7:]]
names = ["adaptive, 0.9 ×", "adaptive, 4 ×", "no limit, 0.9 ×", "no limit, 4 ×"]
good = [sum(plan["served"] for plan in run.values()) for run in runs]
peak = max(good)
print(f"# Beyond capacity · {commit}\n")
print(f"An upstream that does {width} requests at once in {millis} ms each ({capacity}/s) and queues the rest, {each} s of a load "
      f"that arrives at a fixed rate, eight of ten requests free and two premium; who waits longer than 1 s gives up and counts as "
      f"late. One worker. {platform.machine()}, Linux {platform.release()}.\n")
print(f"```text\n{limit}\n```\n")
print("| run | offered/s | goodput/s | of the peak | plan | served/s | refused/s | late/s | failed/s | p50 ms | p99 ms |")
print("|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|")
for name, run, all_good in zip(names, runs, good):
    offered = sum(plan["offered"] for plan in run.values())
    lead = f"| {name} | {offered} | {all_good:.0f} | {100 * all_good / peak:.0f} % "
    for plan, told in run.items():
        print(lead + f"| {plan} | {told['served']:.0f} | {told['refused']:.0f} | {told['late']:.0f} | {told['failed']:.0f} "
              f"| {told['p50']} | {told['p99']} |")
        lead = "| | | | "
PY
