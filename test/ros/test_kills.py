# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Kills under load, some rounds of them; fifty of each are ``make trials``."""

from __future__ import annotations

from kill_trial import KillTrial
import pytest


@pytest.mark.road
def test_kills_of_bridge_and_gateway_lose_nothing_that_was_flushed(
        graph, tmp_path, ros_environment):
    trial = KillTrial(tmp_path, ros_environment, graph.node, graph._executor, seed=7)
    try:
        by_bridge = trial.kill_bridge(2)
        by_gateway = trial.kill_gateway(3)
    finally:
        trial.close()
    print(f'bridge killed: {by_bridge}\ngateway killed: {by_gateway}')
    assert by_bridge.missing == []
    assert by_gateway.missing == []
    assert by_bridge.lost == by_gateway.lost == {}
    # What one flush may hold is all that a kill of the bridge may cost.
    assert by_bridge.unflushed <= 2 * 500 * 0.3
    assert by_gateway.unflushed == 0
