# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# To be sourced. The start-up file of the ROS 2 wheels marks the environment that it has prepared, and
# children inherit the mark with the libraries of that environment. They would be wrong for another
# python, so both go. Our own .venv is not a sourced ROS 2 either.
if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}" ]; then
    unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
fi
if [ -n "${PLEXUS_VENV:-}" ]; then
    AMENT_PREFIX_PATH=$(printf '%s' "${AMENT_PREFIX_PATH:-}" | sed "s|^$PLEXUS_VENV:\{0,1\}||")
    LD_LIBRARY_PATH=$(printf '%s' "${LD_LIBRARY_PATH:-}" | sed "s|^$PLEXUS_VENV/lib:\{0,1\}||")
    unset PLEXUS_VENV
fi
if [ -z "${AMENT_PREFIX_PATH:-}" ]; then unset AMENT_PREFIX_PATH; fi
if [ -z "${LD_LIBRARY_PATH:-}" ]; then unset LD_LIBRARY_PATH; fi
unset VIRTUAL_ENV PYTHONHOME
