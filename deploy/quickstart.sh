#!/bin/sh
# From a fresh clone to a gateway that answers: installs what is missing, builds, starts the demo.
#
#   deploy/quickstart.sh              build and start `gateway demo` on 127.0.0.1:8080
#   deploy/quickstart.sh --no-start   only build
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
start=yes
case "${1-}" in
"") ;;
--no-start) start=no ;;
*)
    echo "usage: deploy/quickstart.sh [--no-start]" >&2
    exit 2
    ;;
esac

# shellcheck source=deploy/install-build-tools.sh
. "$root/deploy/install-build-tools.sh"

# rustup puts cargo there; a shell opened before the installation does not know it yet.
if ! command -v cargo >/dev/null 2>&1 && [ -f "$HOME/.cargo/env" ]; then
    . "$HOME/.cargo/env"
fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing. Install it (https://rustup.rs):" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    echo "Then run this again." >&2
    exit 1
fi

need_tools cmake cc make

echo "Building the gateway (release; the first time takes some minutes) ..."
cd "$root"
cargo build --release -p gateway --locked

binary="${CARGO_TARGET_DIR:-$root/target}/release/gateway"
if [ "$start" = no ]; then
    echo "Built $binary"
    exit 0
fi
exec "$binary" demo
