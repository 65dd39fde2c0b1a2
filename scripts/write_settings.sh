#!/bin/sh
# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Prints the settings that .venv needs in a shell: where ROS 2 finds plexus_msgs. With the wheels, python
# sets its library path itself at start-up.
set -eu
venv=$(pwd -P)/.venv
cat <<END
# Written by make env. Sourced by bin/activate and by the targets of the Makefile.
if [ "\${PLEXUS_VENV:-}" != "$venv" ]; then
    export PLEXUS_VENV="$venv"
    export AMENT_PREFIX_PATH="$venv\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}"
END
if [ "$1" != wheels ]; then
    echo "    export LD_LIBRARY_PATH=\"$venv/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}\""
fi
echo fi
