#!/usr/bin/env bash
# Sourced by compare.sh: how each contestant is found, built and started.
#
# A contestant NAME has `available_NAME`, `start_NAME` (sets $pid) and `version_NAME`. To add one, add its three
# functions, its template and its name to `all_contestants`.

all_contestants=(direct floor gateway nginx haproxy envoy)
# Those that can do the gateway job.
job_contestants=(direct gateway haproxy envoy)
# Those that keep answers, and our own forwarding of the same object.
cache_contestants=(direct forward gateway gateway_quiet nginx nginx_logging)

routes=1000

# fill TEMPLATE > FILE
fill() {
    sed -e "s|@PORT@|$port|g" -e "s|@BACKEND@|$backend_port|g" -e "s|@ADMIN@|$admin_port|g" \
        -e "s|@DIR@|$work|g" -e "s|@KEPT@|$kept|g" -e "s|@ALG@|$job|g" -e "s|@JWTKEY@|$(haproxy_key)|g" -e "s|@GATEWAYKEY@|$(gateway_key)|g" \
        -e "s|@LOG@|${log:-off}|g" "$here/contestants/$1"
}

# What verifies the tokens, as each says it. HAProxy takes a secret itself.
haproxy_key() {
    if [ "$job" = HS256 ]; then cat "$work/secret"; elif [ -n "$job" ]; then echo "$work/public.pem"; fi
}
gateway_key() {
    if [ "$job" = HS256 ]; then echo "secret = \"file:$work/secret\""; else echo "public-key = \"file:$work/public.pem\""; fi
}

# on_core CORE LOG COMMAND…: starts it pinned and sets $pid (taskset becomes the command).
on_core() {
    local core=$1 log=$2
    shift 2
    taskset -c "$core" "$@" >>"$work/$log.out" 2>&1 &
    pid=$!
    pids+=("$pid")
}

start_backend() {
    fill "backend${cache:+-cache}.conf" >"$work/backend.conf"
    on_core 1 backend nginx -p "$work" -c "$work/backend.conf"
}

available_nginx() { command -v nginx >/dev/null; }
version_nginx() { nginx -v 2>&1; }
start_nginx() {
    fill "nginx${cache:+-cache}.conf" >"$work/nginx.conf"
    on_core 0 nginx nginx -p "$work" -c "$work/nginx.conf"
}

# nginx with the same line for each request as the gateway has, buffered as it is there.
available_nginx_logging() { available_nginx; }
version_nginx_logging() { echo "nginx with a log in JSON, written in blocks of 64 KiB"; }
start_nginx_logging() {
    local log="$work/nginx-access.log lines buffer=64k flush=1s"
    start_nginx
}

available_haproxy() { command -v haproxy >/dev/null; }
version_haproxy() { haproxy -v | head -n 1 | cut -d' ' -f1-3; }
start_haproxy() {
    fill "haproxy${job:+-job}.cfg" >"$work/haproxy.cfg"
    on_core 0 haproxy haproxy -db -f "$work/haproxy.cfg"
}

available_envoy() { command -v envoy >/dev/null; }
version_envoy() { envoy --version | grep -o 'version.*' | head -n 1; }
start_envoy() {
    fill "envoy${job:+-job}.yaml" >"$work/envoy.yaml"
    on_core 0 envoy envoy --concurrency 1 --disable-hot-restart -l warning -c "$work/envoy.yaml"
}

# Both are built with the same toolchain and compared as built: see load-tests/README.md.
available_floor() {
    [ -n "${FLOOR_BIN-}" ] && return
    [ -f "$here/floor/Cargo.toml" ] || return 1
    cargo build --release --locked --manifest-path "$here/floor/Cargo.toml"
    FLOOR_BIN="${CARGO_TARGET_DIR:-$here/floor/target}/release/floor"
}
version_floor() { echo "Pingora $(grep -A1 'name = "pingora"' "$root/Cargo.lock" | grep -o '[0-9][0-9.]*'), empty hooks"; }
start_floor() { on_core 0 floor "$FLOOR_BIN" "127.0.0.1:$port" "127.0.0.1:$backend_port"; }

available_gateway() {
    [ -n "${GATEWAY_BIN-}" ] && return
    cargo build --release --locked --manifest-path "$root/Cargo.toml" -p gateway
    GATEWAY_BIN="${CARGO_TARGET_DIR:-$root/target}/release/gateway"
}
version_gateway() { "$GATEWAY_BIN" version 2>/dev/null || echo "at $commit"; }
start_gateway() { run_gateway "${cache:+[defaults]
cache = \"1h\"}"; }
# run_gateway TEXT: with 1,000 routes after this text.
run_gateway() {
    rm -f "$work/access.log"
    {
        fill "gateway${job:+-job}.toml" | sed "${without-}"
        echo "$1"
        for ((n = 0; n < routes; n++)); do
            printf '\n[route.r%d]\nmatch = "/r%d/**"\nupstream = "backend"\n' "$n" "$n"
        done
    } >"$work/gateway.toml"
    on_core 0 gateway "$GATEWAY_BIN" run "$work/gateway.toml"
}

# The gateway again, with no log; metrics cannot be switched off.
available_gateway_quiet() { available_gateway; }
version_gateway_quiet() { echo "the gateway without an access log"; }
start_gateway_quiet() {
    local without='/^\[access-log\]/,$d'
    start_gateway
}

# The gateway again, with no cache.
available_forward() { available_gateway; }
version_forward() { echo "the gateway, which forwards every request"; }
start_forward() { run_gateway ""; }

available_direct() { true; }
version_direct() { echo "no proxy: the load generator asks the backend"; }
start_direct() {
    port=$backend_port
    pid=$backend_pid
}
