#!/usr/bin/env bash
# The gateway beside its rivals and beside bare Pingora, in one run on one machine.
#
#   load-tests/compare.sh [--rounds 3] [--seconds 5] [--idle 10000] [--job HS256|RS256|ES256] [--cache 1k|100k] [--hold] [CONTESTANT …]
#
# The proxy has core 0 and one worker; the load generator and the backend share core 1. Contestants run in turn, all
# of them in every round. Without names, every contestant that is installed takes part; nothing is installed.
# --job is the work of a gateway instead of a bare hop: verify a bearer token, limit by its subject in two plans, log.
# --cache is a warm cache instead: the same object of this size again and again, beside our own forwarding of it.
# --hold starts one contestant and leaves it running until Ctrl-C, for k6, profilers and curl.
# $GATEWAY_BIN and $FLOOR_BIN name binaries built elsewhere.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

rounds=3
seconds=5
idle=10000
hold=no
job=
cache=
subjects=1000
connections=64
path=/r500/orders/7
names=()

# shellcheck source=load-tests/contestants/start.sh
. "$here/contestants/start.sh"

fail() {
    echo "compare.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case "$1" in
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --idle) idle=$2 && shift ;;
    --job) job=$2 && shift ;;
    --cache) cache=$2 && shift ;;
    --hold) hold=yes ;;
    -*) fail "unknown option $1" ;;
    *) names+=("$1") ;;
    esac
    shift
done
[ -z "$job" ] || [ -z "$cache" ] || fail "--job and --cache are two experiments"
case "$cache" in
"") ;;
1k) object=1024 ;;
100k) object=102400 ;;
*) fail "--cache is 1k or 100k" ;;
esac
[ -z "$cache" ] || [ ${#names[@]} -gt 0 ] || names=("${cache_contestants[@]}")
case "$job" in
"") [ ${#names[@]} -gt 0 ] || names=("${all_contestants[@]}") ;;
HS256 | RS256 | ES256) [ ${#names[@]} -gt 0 ] || names=("${job_contestants[@]}") ;;
*) fail "--job is HS256, RS256 or ES256" ;;
esac

for tool in wrk nginx taskset python3; do
    command -v "$tool" >/dev/null || fail "needs $tool"
done
[ "$(nproc)" -ge 2 ] || fail "needs two cores: one for the proxy, one for load and backend"

# 64 connections need few files, 10,000 idle ones many: take what the system grants.
ulimit -n "$(ulimit -Hn)"
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $((idle + 1000)) ]; then
    idle=$(($(ulimit -n) - 1000))
    echo "The limit of open files allows $idle idle connections."
    [ "$idle" -ge 100 ] || fail "too few open files: raise 'ulimit -n'"
fi

work=$(mktemp -d)
# In memory, so that nobody pays for a disk.
kept=$work/kept
[ -z "$cache" ] || [ ! -w /dev/shm ] || kept=$(mktemp -d /dev/shm/compare-XXXXXX)
pids=()
cleanup() {
    local each
    for each in "${pids[@]}"; do kill -KILL "$each" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work" "$kept"
}
trap cleanup EXIT

free_ports() {
    python3 -c '
import socket
held = [socket.socket() for _ in range(3)]
for each in held: each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))'
}

# The status line with which 127.0.0.1:$port answers a request with this token, or with none.
status_for() {
    local status="" field=""
    [ -z "$1" ] || field="Authorization: Bearer $1"$'\r\n'
    {
        exec 3<>"/dev/tcp/127.0.0.1/$port" &&
            printf 'GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n' "$path" "$field" >&3 &&
            read -r -t 2 status <&3
        exec 3>&-
    } 2>/dev/null || true
    echo "$status"
}

answers() { [[ $(status_for "$good_token") == *" 200"* ]]; }

# Who does less than the job would win it: no token and a forged one must be refused.
does_the_job() {
    local each
    for each in "" "$(cat "$work/bad-token")"; do
        [[ $(status_for "$each") == *" 401"* ]] || fail "$1 lets a request with ${each:-no token} pass"
    done
}

wait_answer() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        answers && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$work/$1.out" >&2
    fail "$1 does not answer"
}

# User and system time of $pid with all its threads, in clock ticks.
cpu_ticks() {
    local stat
    stat=$(<"/proc/$pid/stat")
    # The name in parentheses may hold spaces: count from behind it.
    read -r -a stat <<<"${stat##*) }"
    echo $((stat[11] + stat[12]))
}

start() {
    # Each round listens elsewhere, so that no closing socket of the last one stands in the way.
    read -r port admin_port _ <<<"$(free_ports)"
    "start_$1"
    wait_answer "$1"
    [ -z "$job" ] || [ "$1" = direct ] || does_the_job "$1"
}

stop() {
    [ "$1" = direct ] && return
    # Not asked politely: a graceful end may take its whole grace time, and nothing is lost here.
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
}

load() {
    taskset -c 1 wrk -t1 -c "$connections" -d "${1}s" --latency \
        -s "$here/scenarios/$scenario.lua" "http://127.0.0.1:$port$path"
}

# How often the backend of the cache job was asked, which no good cache makes it be.
asked() {
    [ -n "$cache" ] || return 0
    curl -fs "http://127.0.0.1:$backend_port/asked" | awk 'NR == 3 { print $3 }'
}

gives_what_it_keeps() {
    case "$1" in direct | forward) return ;; esac
    [ -z "$cache" ] || [ "$(asked)" -le $(($2 + 10)) ] || fail "$1 asks its backend"
}

measure() {
    local before after result asked
    start "$1"
    load 1 >/dev/null
    asked=$(asked)
    before=$(cpu_ticks)
    result=$(load "$seconds" | sed -n 's/^RESULT //p')
    after=$(cpu_ticks)
    [ -n "$result" ] || fail "wrk gave no result for $1"
    gives_what_it_keeps "$1" "$asked"
    echo "$1 $2 $((after - before)) $result" | tee -a "$work/samples"
    stop "$1"
}

measure_idle() {
    [ -z "$job$cache" ] || return 0
    start "$1"
    echo "$1 $(python3 "$here/idle.py" "$port" "$pid" "$idle" "$path")" | tee -a "$work/idle"
    stop "$1"
}

present() {
    local name
    echo "# Side by side${job:+ at the gateway job with $job}${cache:+ with a warm cache of $cache}, $(date -u +%F), commit $commit"
    echo
    echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r). Proxy on core 0 with one worker;"
    echo "wrk and backend on core 1; $connections connections; median of $rounds rounds of $seconds s; $idle idle connections."
    [ -z "$job" ] || echo "Every request carries a token, $subjects subjects in turn."
    echo
    python3 "$here/table.py" "$work/samples" "$work/idle" "${cache:+forward}"
    echo
    for name in "${contestants[@]}"; do echo "* $name: $("version_$name")"; done
}

commit=$(git -C "$root" rev-parse --short HEAD)
git -C "$root" diff --quiet HEAD -- || commit="$commit-changed"

contestants=()
for name in "${names[@]}"; do
    declare -F "start_$name" >/dev/null || fail "unknown contestant $name; known: ${all_contestants[*]}"
    if "available_$name"; then contestants+=("$name"); else echo "$name is not here: left out"; fi
done
[ ${#contestants[@]} -gt 0 ] || fail "no contestant"

good_token=
scenario=report
if [ -n "$job" ]; then
    python3 "$here/tokens.py" "$job" "$work" "$subjects"
    good_token=$(head -n 1 "$work/tokens")
    scenario=tokens
    export TOKENS=$work/tokens REPORT=$here/scenarios/report.lua
fi

if [ -n "$cache" ]; then
    command -v curl >/dev/null || fail "needs curl"
    mkdir "$work/objects"
    head -c "$object" /dev/zero | tr '\0' x >"$work/objects/object"
fi

read -r port admin_port backend_port <<<"$(free_ports)"
start_backend
backend_pid=$pid
port=$backend_port
wait_answer backend

if [ "$hold" = yes ]; then
    start "${contestants[0]}"
    echo "${contestants[0]} (pid $pid) at http://127.0.0.1:$port$path until Ctrl-C"
    trap 'exit 0' INT TERM
    wait "$pid"
    exit
fi

: >"$work/idle"
for ((round = 1; round <= rounds; round++)); do
    for name in "${contestants[@]}"; do measure "$name" "$round"; done
done
for name in "${contestants[@]}"; do
    [ "$name" = direct ] || measure_idle "$name"
done

mkdir -p "$here/results"
file="$here/results/$(date -u +%F)-$commit${job:+-${job,,}}${cache:+-cache-$cache}.md"
present >"$file"
echo
cat "$file"
echo
echo "Written to ${file#"$root/"}"
