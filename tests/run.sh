#!/usr/bin/env bash
# Everything that must hold before a change is done: format, lints, documents, scripts, every test.
#
# Installs what the tests need where it may (see deploy/install-build-tools.sh). The end-to-end tests
# come last, so that cargo's own count of executed tests closes the output.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=deploy/install-build-tools.sh
. deploy/install-build-tools.sh

# The programs that tests start or that the build calls. Grows with the tests.
tools=(cmake cc curl make openssl redis-server)

stage() {
    echo
    echo "== $1"
    shift
    "$@"
}

check_shell_scripts() {
    local script
    while IFS= read -r script; do
        case "$(head -n 1 "$script")" in
        *bash) bash -n "$script" ;;
        *) sh -n "$script" ;;
        esac
    done < <(find .ci deploy tests load-tests -name target -prune -o -type f \( -name '*.sh' -o -path '.ci/*' \) -print)
}

check_k6_scripts() {
    local script
    for script in load-tests/scenarios/*.js; do
        [ -e "$script" ] || continue
        if command -v k6 >/dev/null; then
            k6 inspect "$script" >/dev/null
        elif command -v node >/dev/null; then
            node --input-type=module --check <"$script"
        else
            echo "neither k6 nor node: $script is not checked"
        fi
    done
}

stage "tools: ${tools[*]}" need_tools "${tools[@]}"
stage "format" cargo fmt --all --check
stage "shell scripts" check_shell_scripts
stage "k6 scripts" check_k6_scripts
stage "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
stage "documents" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
stage "gateway binary" cargo build -p gateway --locked
stage "unit and doc tests" cargo test --workspace --exclude tests --locked

GATEWAY_BIN="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/gateway"
export GATEWAY_BIN
stage "programs of others for end-to-end tests" tests/tools/install.sh
stage "end-to-end tests" cargo test -p tests --locked
