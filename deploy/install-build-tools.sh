#!/bin/sh
# Sourced by deploy/quickstart.sh and tests/run.sh: finds missing tools and installs their packages.
#
# `need_tools cmake cc …` returns at once when all are there, without asking any package manager.
# Otherwise it installs with apt, dnf, apk or brew where root or a passwordless sudo allows it, and
# where not, it prints the command to run and ends the script with 1.

# The package that brings a tool, by package manager.
package_of() {
    case "$1:$2" in
    apt:cc | apt:make) echo build-essential ;;
    dnf:cc) echo gcc gcc-c++ ;;
    apk:cc | apk:make) echo build-base ;;
    apt:chromedriver) echo chromium-driver ;;
    dnf:chromedriver) echo chromedriver ;;
    apk:chromedriver) echo chromium-chromedriver ;;
    apt:h2load) echo nghttp2-client ;;
    dnf:h2load | apk:h2load | brew:h2load) echo nghttp2 ;;
    apt:node) echo nodejs ;;
    dnf:node | apk:node) echo nodejs ;;
    apt:python3) echo python3 python3-venv ;;
    apt:redis-server) echo redis-server ;;
    *:redis-server) echo redis ;;
    *) echo "$2" ;;
    esac
}

package_manager() {
    for manager in apt-get dnf apk brew; do
        if command -v "$manager" >/dev/null 2>&1; then
            echo "${manager%-get}"
            return
        fi
    done
    echo none
}

install_command() {
    case "$1" in
    apt) echo "apt-get install -y --no-install-recommends" ;;
    dnf) echo "dnf install -y" ;;
    apk) echo "apk add" ;;
    brew) echo "brew install" ;;
    esac
}

# What stands before the command: nothing, sudo, or "no" where we have no right.
privilege() {
    if [ "$1" = brew ] || [ "$(id -u)" -eq 0 ]; then
        echo ""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "sudo -n"
    else
        echo no
    fi
}

need_tools() {
    missing=""
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    [ -n "$missing" ] || return 0
    manager=$(package_manager)
    if [ "$manager" = none ]; then
        echo "Missing:$missing. Install them with your system's package manager, then run this again." >&2
        exit 1
    fi
    install_packages "$manager" "$missing"
    for tool in $missing; do
        if ! command -v "$tool" >/dev/null 2>&1; then
            echo "'$tool' is still missing after the installation." >&2
            exit 1
        fi
    done
}

# Debian splits the module that makes virtual environments from Python itself.
need_packages_for_venv() {
    manager=$(package_manager)
    [ "$manager" = apt ] || return 0
    install_packages apt python3-venv
}

install_packages() {
    manager=$1
    packages=""
    for tool in $2; do
        if [ "$manager" = brew ] && { [ "$tool" = cc ] || [ "$tool" = make ]; }; then
            echo "Missing: a C compiler. Run 'xcode-select --install', then run this again." >&2
            exit 1
        fi
        for package in $(package_of "$manager" "$tool"); do
            case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
        done
    done
    command="$(install_command "$manager")$packages"
    right=$(privilege "$manager")
    if [ "$right" = no ]; then
        echo "Missing:$2. No right to install them here; run this, then start again:" >&2
        echo "    sudo $command" >&2
        exit 1
    fi
    command="${right:+$right }$command"
    echo "Missing:$2. Installing:"
    echo "    $command"
    # Word splitting is what turns the line above into a command.
    # shellcheck disable=SC2086
    if ! $command; then
        # Most often a package list that is absent or old; only apt keeps one that must be asked for.
        [ "$manager" = apt ] || exit 1
        # shellcheck disable=SC2086
        $right apt-get update
        # shellcheck disable=SC2086
        $command
    fi
}
