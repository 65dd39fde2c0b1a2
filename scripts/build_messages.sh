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
case $1 in
    wheels) prefixes=$venv ;;
    *) prefixes=$(printf '%s' "$venv:$1" | tr ':' ';') ;;
esac
rm -rf "$build"
cmake -S plexus_msgs -B "$build" -DCMAKE_INSTALL_PREFIX="$venv" -DCMAKE_PREFIX_PATH="$prefixes" \
    -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF \
    -DCMAKE_PROJECT_INCLUDE="$(pwd -P)/scripts/plexus_msgs.cmake"
cmake --build "$build" --parallel 2
cmake --install "$build"
rm -rf "$build"
