#!/bin/sh
# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command in .venv:  scripts/in_env.sh pytest -k session
set -eu
venv=$(cd "$(dirname "$0")/.." && pwd -P)/.venv
. "${0%/*}/clean_environment.sh"
. "$venv/.plexus/settings.sh"
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
exec "$@"
