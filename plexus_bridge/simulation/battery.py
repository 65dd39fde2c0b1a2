# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A lithium-ion battery: charge, voltage under load, temperature."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

# Open-circuit voltage of a cell against its charge, the usual shape of lithium-ion.
_CHARGE_AND_VOLTS = ((0.0, 3.0), (0.1, 3.45), (0.25, 3.6), (0.5, 3.7), (0.75, 3.9), (1.0, 4.18))


@dataclass
class Battery:
    """
    Charge 0 … 1, volts, amperes, °C; a discharging current is negative (sensor_msgs/BatteryState).

    Loads are given as power, because the electronics behind a battery regulate to that.
    """

    capacity_ah: float = 5.0
    charge: float = 1.0
    cells: int = 7
    resistance_ohm: float = 0.08
    temperature_c: float = 24.0
    ambient_c: float = 24.0
    current_a: float = 0.0

    @property
    def open_circuit_v(self) -> float:
        """The voltage without a load."""
        for (low, v_low), (high, v_high) in pairwise(_CHARGE_AND_VOLTS):
            if self.charge <= high:
                return self.cells * (v_low + (v_high - v_low) * (self.charge - low) / (high - low))
        return self.cells * _CHARGE_AND_VOLTS[-1][1]

    @property
    def voltage_v(self) -> float:
        """The voltage at the terminals."""
        return self.open_circuit_v + self.current_a * self.resistance_ohm

    def step(self, dt: float, power_w: float) -> None:
        """Let `dt` seconds pass with `power_w` drawn; negative power charges."""
        self.current_a = -power_w / self.open_circuit_v if power_w < 0 or self.charge > 0 else 0.0
        self.charge += self.current_a * dt / (3600.0 * self.capacity_ah)
        self.charge = max(0.0, min(1.0, self.charge))
        # Losses warm it, the air cools it: 2 °C for each watt lost, ten minutes to get there.
        settled = self.ambient_c + 2.0 * self.current_a**2 * self.resistance_ohm
        self.temperature_c += (settled - self.temperature_c) * min(1.0, dt / 600.0)
