# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from plexus_bridge.gateway.devices import Devices


class Socket:
    """A device's socket that notes what is asked of it."""

    def __init__(self) -> None:
        self.displaced = False
        self.goodbyes: list[str] = []

    def displace(self) -> None:
        self.displaced = True

    async def say_goodbye(self, reason: str) -> None:
        self.goodbyes.append(reason)


def test_the_newest_socket_of_a_source_counts():
    devices, older, newer = Devices(), Socket(), Socket()
    devices.enter('kiln-7', older)
    devices.enter('kiln-7', newer)
    assert (older.displaced, newer.displaced) == (True, False)
    assert (len(devices), list(devices), 'kiln-7' in devices) == (1, ['kiln-7'], True)
    devices.leave('kiln-7', older)
    assert 'kiln-7' in devices, 'the older one does not take the newer one along'
    devices.leave('kiln-7', newer)
    devices.leave('kiln-7', newer)
    assert 'kiln-7' not in devices


def test_goodbye_is_said_to_all():
    devices, sockets = Devices(), [Socket() for _ in range(3)]
    for index, socket in enumerate(sockets):
        devices.enter(f'kiln-{index}', socket)
    asyncio.run(devices.say_goodbye('restarting'))
    assert [socket.goodbyes for socket in sockets] == [['restarting']] * 3
    asyncio.run(Devices().say_goodbye('nobody is there'))
