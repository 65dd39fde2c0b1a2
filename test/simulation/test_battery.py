# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.simulation.battery import Battery


def spend(battery: Battery, seconds: float, power_w: float) -> None:
    for _ in range(int(seconds)):
        battery.step(1.0, power_w)


def test_the_charge_that_flows_is_the_charge_that_is_missing() -> None:
    battery = Battery(capacity_ah=2.0, charge=0.6)
    power = battery.open_circuit_v * 2.0
    battery.step(36.0, power)  # 2 A for a hundredth of an hour
    assert battery.current_a == pytest.approx(-2.0)
    assert battery.charge == pytest.approx(0.6 - 0.01)


def test_a_load_lowers_the_voltage_and_charging_raises_it() -> None:
    battery = Battery(charge=0.5)
    assert battery.voltage_v == pytest.approx(7 * 3.7)
    battery.step(0.001, 100.0)
    assert battery.voltage_v < battery.open_circuit_v
    battery.step(0.001, -100.0)
    assert battery.voltage_v > battery.open_circuit_v


def test_more_power_drains_it_faster_and_warms_it_more() -> None:
    idle, busy = Battery(), Battery()
    spend(idle, 600, 12.0)
    spend(busy, 600, 120.0)
    assert 1.0 > idle.charge > busy.charge
    assert idle.temperature_c < busy.temperature_c < 60


def test_it_is_never_emptier_than_empty_nor_fuller_than_full() -> None:
    battery = Battery(capacity_ah=0.1)
    spend(battery, 600, 500.0)
    assert battery.charge == 0.0
    assert battery.current_a == 0.0
    spend(battery, 600, -500.0)
    assert battery.charge == 1.0


def test_the_voltage_falls_all_the_way() -> None:
    volts = [Battery(charge=k / 100).open_circuit_v for k in range(101)]
    assert volts == sorted(volts)
    assert volts[0] == pytest.approx(21.0)
