# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage import retention
from plexus_bridge.gateway.storage import upkeep as upkeep_module
from plexus_bridge.gateway.storage.retention import Retention
from plexus_bridge.gateway.storage.rollups import MINUTE_MS
from plexus_bridge.gateway.storage.store import Store
from plexus_bridge.gateway.storage.upkeep import Upkeep
from plexus_bridge.gateway.storage.windows import Window
from plexus_bridge.points import read_point

HOUR_MS = 60 * MINUTE_MS
NOW_MS = 1_790_000_000_000
ALWAYS = Window(0, 2**62)


class Kept:
    """A running store with its upkeep; `now_ms` is its clock, which may jump."""

    def __init__(self, path: Path, kept: Retention):
        self.store = Store(path)
        self.now_ms = NOW_MS
        self.seconds = 0.0
        self.upkeep = Upkeep(
            self.store, kept, lambda: self.now_ms, lambda: self.seconds)

    def pass_time(self, time_ms: int) -> None:
        self.now_ms += time_ms
        self.seconds += time_ms / 1000

    async def add(self, stamps: range, metric: str = 'a', value: Any = None) -> None:
        await self.store.write([('kiln-7', [
            read_point({'metric': metric, 'value': number if value is None else value,
                        'timestamp': stamp}, 0) for number, stamp in enumerate(stamps)])], NOW_MS)

    async def count(self, table: str) -> int:
        return int(await self.store.read(
            lambda connection: connection.execute(f'SELECT count(*) FROM {table}').fetchone()[0]))

    async def oldest(self) -> int:
        return int(await self.store.read(
            lambda connection: connection.execute(
                'SELECT min(timestamp_ms) FROM sample').fetchone()[0]))

    async def size(self) -> retention.Size:
        return await self.store.read(retention.read_size)


Test = Callable[[Kept], Coroutine[Any, Any, None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Run a coroutine function with a running store."""
    def run_with(test: Test, **kept: int) -> None:
        async def body() -> None:
            subject = Kept(tmp_path / 'gateway.db', Retention(**kept))
            subject.store.start()
            try:
                await asyncio.wait_for(test(subject), 20)
            finally:
                await subject.store.close()

        asyncio.run(body())

    return run_with


class TestRollingUp:

    def test_quiet_minutes_are_rolled_up_and_busy_ones_wait(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS - 30 * MINUTE_MS, 1000))
            await kept.upkeep.roll_up()
            assert await kept.count('rollup') == 0
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS - HOUR_MS + 10))
            await kept.upkeep.roll_up()
            assert await kept.count('rollup') > 28
            assert await kept.count('stale WHERE width_ms = 60000') == 1
            await kept.upkeep.roll_up()
            assert await kept.count('stale WHERE width_ms = 60000') == 0

        run(test)

    def test_it_goes_on_by_itself(self, run: Callable[..., None], monkeypatch: Any):
        monkeypatch.setattr(upkeep_module, 'ROLL_UP_INTERVAL_S', 0.01)
        monkeypatch.setattr(upkeep_module, 'RETENTION_INTERVAL_S', 0.01)

        async def test(kept: Kept) -> None:
            task = asyncio.create_task(kept.upkeep.run())
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS - 30 * MINUTE_MS, 1000))
            while await kept.count('rollup') < 30:
                await asyncio.sleep(0.01)
            kept.pass_time(24 * HOUR_MS)
            while await kept.count('sample'):
                await asyncio.sleep(0.01)
            task.cancel()

        run(test, max_age_ms=2 * HOUR_MS)

    def test_it_gets_over_a_failure(
            self, run: Callable[..., None], monkeypatch: Any, caplog: pytest.LogCaptureFixture):
        monkeypatch.setattr(upkeep_module, 'ROLL_UP_INTERVAL_S', 0.01)

        async def test(kept: Kept) -> None:
            await kept.store.execute(lambda connection: connection.execute(
                "CREATE TEMP TRIGGER bad BEFORE INSERT ON rollup "
                "BEGIN SELECT raise(ABORT, 'bad'); END"))
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS - 30 * MINUTE_MS, 1000))
            task = asyncio.create_task(kept.upkeep.run())
            while 'Upkeep' not in caplog.text:
                await asyncio.sleep(0.01)
            await kept.store.execute(lambda connection: connection.execute('DROP TRIGGER bad'))
            while await kept.count('rollup') < 30:
                await asyncio.sleep(0.01)
            task.cancel()

        run(test)


class TestAge:

    def test_what_is_too_old_goes_everywhere(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(NOW_MS - 5 * HOUR_MS, NOW_MS, 10_000))
            await kept.add(range(NOW_MS - 5 * HOUR_MS, NOW_MS, 60_000), 'door', 'open')
            for _ in range(2):
                await kept.upkeep.roll_up()
            await kept.upkeep.throw_away()
            oldest = await kept.oldest()
            assert NOW_MS - 2 * HOUR_MS - MINUTE_MS <= oldest <= NOW_MS - 2 * HOUR_MS
            for table, column in (('event', 'timestamp_ms'), ('rollup', 'start_ms')):
                assert await kept.count(f'{table} WHERE {column} < {oldest - MINUTE_MS}') == 0
                assert await kept.count(table) > 100
            assert 3 * 420 - 7 <= kept.store.counters['points_expired'] <= 3 * 420
            raw = await kept.store.read(queries.raw_samples, 'kiln-7', None, ALWAYS)
            rolled = await kept.store.read(
                queries.bucketed_samples, 'kiln-7', None, ALWAYS, HOUR_MS)
            assert sum(rolled.series['a']['count']) == len(raw.series['a']['value'])

        run(test, max_age_ms=2 * HOUR_MS)

    def test_a_clock_that_jumps_ahead_deletes_nothing_at_once(
            self, run: Callable[..., None], caplog: pytest.LogCaptureFixture):
        async def test(kept: Kept) -> None:
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS, 60_000))
            kept.now_ms += 10 * 365 * 24 * HOUR_MS
            await kept.upkeep.throw_away()
            assert 'jumped ahead by 87600.0 h' in caplog.text
            kept.pass_time(23 * HOUR_MS)
            await kept.upkeep.throw_away()
            kept.now_ms -= 10 * 365 * 24 * HOUR_MS  # somebody set it right
            await kept.upkeep.throw_away()
            kept.pass_time(5 * HOUR_MS)
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 60
            kept.pass_time(20 * HOUR_MS)
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 0
            assert caplog.text.count('jumped') == 1

        run(test, max_age_ms=48 * HOUR_MS)

    def test_a_clock_that_was_set_right_counts_a_day_later(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            kept.now_ms = 10**12  # a board without a clock, just started
            await kept.add(range(NOW_MS - HOUR_MS, NOW_MS, 60_000))
            await kept.upkeep.throw_away()
            kept.now_ms = NOW_MS + 72 * HOUR_MS
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 60
            kept.pass_time(24 * HOUR_MS)
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 0

        run(test, max_age_ms=48 * HOUR_MS)

    def test_without_a_limit_nothing_goes(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(10**12, 10**12 + 10))
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 10

        run(test)


class TestSize:

    def test_the_oldest_goes_until_it_fits_and_the_disk_gets_its_room_back(
            self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            for hour in range(20, 0, -1):
                begin = NOW_MS - hour * HOUR_MS
                await kept.add(range(begin, begin + HOUR_MS, 200))
            before = await kept.size()
            assert before.pages * before.page_bytes > 4_000_000
            await kept.upkeep.throw_away()
            after = await kept.size()
            assert 1_300_000 < after.used_bytes < 1_800_000
            assert after.pages * after.page_bytes < 2_000_000
            assert await kept.oldest() > NOW_MS - 10 * HOUR_MS
            assert await kept.count(f'sample WHERE timestamp_ms >= {NOW_MS - HOUR_MS}') == 18_000

        run(test, max_bytes=2_000_000)

    def test_one_wrong_stamp_of_the_future_costs_nothing_else(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(8 * 10**15, 8 * 10**15 + 1))
            await kept.add(range(NOW_MS - 10 * HOUR_MS, NOW_MS, 500))
            await kept.upkeep.throw_away()
            assert 10_000 < await kept.count('sample') < 72_000

        run(test, max_bytes=1_000_000)

    def test_a_wrong_clock_costs_nothing_else(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            kept.now_ms += 10 * 365 * 24 * HOUR_MS
            await kept.add(range(NOW_MS - 10 * HOUR_MS, NOW_MS, 500))
            await kept.upkeep.throw_away()
            assert 10_000 < await kept.count('sample') < 72_000

        run(test, max_bytes=1_000_000)

    def test_a_limit_that_cannot_be_kept_ends(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(NOW_MS - 100, NOW_MS))
            await kept.upkeep.throw_away()
            assert await kept.count('sample') == 0
            await kept.upkeep.throw_away()

        run(test, max_bytes=1)

    def test_points_that_come_meanwhile_are_stored(self, run: Callable[..., None]):
        async def test(kept: Kept) -> None:
            await kept.add(range(NOW_MS - 10 * HOUR_MS, NOW_MS, 200))
            task = asyncio.create_task(kept.upkeep.throw_away())
            added = 0
            while not task.done():
                await kept.add(range(NOW_MS + added, NOW_MS + added + 10), 'new')
                added += 10
            await task
            assert added > 50
            new = await kept.store.read(queries.raw_samples, 'kiln-7', ['new'], ALWAYS)
            assert len(new.series['new']['value']) == added

        run(test, max_bytes=2_000_000)
