#!/bin/sh
# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Builds plexus_msgs straight into .venv, which is a ROS prefix then. ROS users who have a workspace
# build it with colcon instead.
set -eu
venv=$(pwd -P)/.venv
build=$venv/.plexus/plexus_msgs
PATH=$venv/bin:$PATH
set -- -DCMAKE_INSTALL_PREFIX="$venv" -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF "$1"
if [ "$4" = wheels ]; then
    prefixes=$venv
    set -- "$1" "$2" "$3" -DCMAKE_PROJECT_INCLUDE="$(pwd -P)/scripts/drop_missing_includes.cmake"
else
    prefixes=$(printf '%s' "$venv:$4" | tr ':' ';')
    set -- "$1" "$2" "$3"
fi
rm -rf "$build"
cmake -S plexus_msgs -B "$build" -DCMAKE_PREFIX_PATH="$prefixes" "$@"
cmake --build "$build" --parallel 2
cmake --install "$build"
rm -rf "$build"
