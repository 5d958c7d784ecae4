#!/bin/sh
# Replaces the binary of a running gateway without refusing or cutting a single request.
#
#   deploy/upgrade.sh [--binary NEW] [--installed PATH] [--config FILE]
#
#   --binary      the new one; target/release/gateway unless told
#   --installed   where the running one was started from; /usr/local/bin/gateway unless told
#   --config      its configuration, with [server] control-socket; /etc/gateway/gateway.toml unless told
#
# Checks the configuration with the new binary, puts it in the place of the former one, and asks the running
# process to hand over to it (`gateway upgrade`). The running process starts the new one beside itself, gives
# it its sockets, and ends only once the new one serves. If that fails, it serves on, and the former binary
# is put back. The former binary stays beside the new one as PATH.former.
#
# Exit codes: 0 the new one serves; 1 the former one serves on; 2 the arguments or the configuration are
# wrong, nothing was touched. Variables that the configuration takes from the environment must be set.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
binary=${CARGO_TARGET_DIR:-$root/target}/release/gateway
installed=/usr/local/bin/gateway
config=/etc/gateway/gateway.toml

usage() {
    echo "usage: deploy/upgrade.sh [--binary NEW] [--installed PATH] [--config FILE]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
    --binary) binary=$2 ;;
    --installed) installed=$2 ;;
    --config) config=$2 ;;
    *) usage ;;
    esac
    shift 2
done

for file in "$binary" "$installed"; do
    if [ ! -x "$file" ]; then
        echo "$file is not there, or not a program" >&2
        exit 2
    fi
done

if ! "$binary" check "$config"; then
    echo "The new binary does not take $config. Nothing was touched." >&2
    exit 2
fi

# In one step each, so that there is a whole program under the name at any time.
put() {
    cp -p "$1" "$2.new"
    mv -f "$2.new" "$2"
}

put "$installed" "$installed.former"
put "$binary" "$installed"

if "$installed" upgrade "$config"; then
    echo "Upgraded to $("$installed" version)."
    exit 0
fi
put "$installed.former" "$installed"
echo "Not upgraded: the former process serves on, and $installed is the former binary again." >&2
exit 1
