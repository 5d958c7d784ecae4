#!/usr/bin/env bash
# Brings the programs of others that end-to-end tests use: system packages where it may install them, Python and Node.js
# packages into the target folder. Does nothing where all is there already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")

# shellcheck source=deploy/install-build-tools.sh
. "$root/deploy/install-build-tools.sh"
need_tools curl openssl python3 node npm h2load slowhttptest

# A browser is large: without the right to install it, its one test is skipped and says so.
(need_tools chromium chromedriver) || echo "no browser: its test will be skipped"

tools="${CARGO_TARGET_DIR:-$root/target}/tools"
mkdir -p "$tools/node"

# A folder is as its list of packages says when the list is in it.
up_to_date() { cmp -s "$1" "$2"; }

if ! up_to_date "$here/requirements.txt" "$tools/python/requirements.txt"; then
    rm -rf "$tools/python"
    if ! python3 -m venv "$tools/python"; then
        need_packages_for_venv
        python3 -m venv "$tools/python"
    fi
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/python/"
fi

if ! up_to_date "$here/package.json" "$tools/node/package.json"; then
    rm -rf "$tools/node" && mkdir -p "$tools/node"
    cp "$here/package.json" "$tools/node/package.tmp"
    (cd "$tools/node" && mv package.tmp package.json &&
        npm install --silent --no-package-lock --no-audit --no-fund) || { rm -f "$tools/node/package.json"; exit 1; }
fi
cp "$here"/*.mjs "$tools/node/"
