# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The outbox hands every frame out until it is settled, across returns, overflow and restarts."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
import tempfile

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery import losses as losses_module
from plexus_bridge.delivery import outbox as outbox_module
from plexus_bridge.delivery import queues as queues_module
from plexus_bridge.delivery.backlog import Backlog
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_file import key_of
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.losses import Loss
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.queues import Turn
from plexus_bridge.errors import JournalError


class Robot:
    """Makes numbered points, one frame each, and takes frames as a link would."""

    def __init__(self, folder: Path, durability: Durability = Durability.ALWAYS,
                 bundle_bytes: int = 0, max_bytes: int = 1 << 30):
        self.folder = folder
        self.durability = durability
        self.bundle_bytes = bundle_bytes
        self.max_bytes = max_bytes
        self.may_be_in_memory_only = durability is Durability.OUTAGE or max_bytes < 1000
        self.counters = Counters()
        self.made = 0
        self.settled: set[int] = set()
        self.taken: dict[int, Frame] = {}
        self.killed_with_memory = False
        # What a killed process had not taken off the disk yet, the next may have to throw away.
        self.settled_and_on_disk = 0
        self.restart()

    def restart(self) -> None:
        """As after kill -9: what was taken is forgotten, what was flushed is not."""
        if hasattr(self, 'journal'):
            self.settled_and_on_disk += len(self.settled) if self.outbox._settled else 0
            self.killed_with_memory |= bool(
                self.outbox._unkept or self.outbox._memory_only
                or (self.outbox._halves and self.may_be_in_memory_only))
            self.outbox.close_backlog()
            self.journal.close()
        self.taken.clear()
        self.journal = Journal(
            self.folder / 'robot.db', self.max_bytes, self.counters)
        self.lanes = Lanes(self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters, self.durability)
        self.outbox.bundle_bytes = self.bundle_bytes

    def make(self, lane: str, points: int = 1) -> None:
        for _ in range(points):
            self.lanes.sinks[lane].add({'value': self.made})
            self.made += 1
        self.outbox.flush()

    def take(self) -> Frame | None:
        frame = self.outbox.take()
        if frame:
            assert frame.key not in self.taken, 'handed out twice at once'
            self.taken[frame.key] = frame
        return frame

    def settle(self, count: int) -> None:
        keys = list(self.taken)[:count]
        for key in keys:
            self.settled.update(numbers(self.taken.pop(key)))
        self.outbox.settle(keys)

    def split(self, count: int) -> None:
        for key in list(self.taken)[:count]:
            one = self.taken[key].points == 1
            assert self.outbox.split(key) is not one
            if not one:
                del self.taken[key]

    def postpone(self, count: int) -> None:
        for key in list(self.taken)[:count]:
            del self.taken[key]
            self.outbox.postpone(key)

    def refuse_disk(self, patch: pytest.MonkeyPatch) -> None:
        def refuse(*_):
            raise JournalError('disk full')

        self.may_be_in_memory_only = True
        with patch.context() as inner:
            inner.setattr(self.journal, 'write', refuse)
            with contextlib.suppress(JournalError):
                self.outbox.flush()

    def give_back(self) -> None:
        self.outbox.give_back(list(self.taken))
        self.taken.clear()


def numbers(frame: Frame) -> list[int]:
    values = [point['value'] for point in json.loads(b'[%b]' % frame.points_json)]
    assert len(values) == frame.points
    return values


def number(frame: Frame) -> int:
    value, = numbers(frame)
    return value


STEPS = st.lists(st.one_of(
    st.tuples(st.just('make'), st.tuples(
        st.sampled_from(['urgent', 'state', 'bulk']), st.integers(1, 5))),
    st.tuples(st.just('take'), st.integers(1, 5)),
    st.tuples(st.just('settle'), st.integers(1, 5)),
    st.tuples(st.just('give_back'), st.none()),
    st.tuples(st.just('split'), st.integers(1, 5)),
    st.tuples(st.just('postpone'), st.integers(1, 5)),
    st.tuples(st.just('flush'), st.none()),
    st.tuples(st.just('refuse_disk'), st.none()),
    st.tuples(st.just('restart'), st.none()),
), max_size=80)


@example([('make', ('state', 1)), ('make', ('state', 1)), ('take', 1), ('make', ('state', 1)),
          ('give_back', None)], 0, Durability.ALWAYS, 10.0, 0, 1 << 30)
@example([('make', ('urgent', 1)), ('take', 1), ('make', ('urgent', 1)), ('take', 1),
          ('settle', 1), ('give_back', None), ('flush', None)],
         0, Durability.ALWAYS, 10.0, 0, 1 << 30)
@example([('make', ('urgent', 1)), ('take', 1), ('settle', 1), ('restart', None),
          ('make', ('urgent', 1))], 0, Durability.ALWAYS, -1.0, 0, 100)
@given(STEPS, st.sampled_from([0, 40, 1_000_000]), st.sampled_from(Durability),
       st.sampled_from([-1.0, 0.002, 10.0]),
       st.sampled_from([0, 50, 128_000]), st.sampled_from([100, 400, 1 << 30]))
@settings(max_examples=600, deadline=None)
def test_every_frame_is_handed_out_until_it_is_settled_or_counted_as_lost(
        steps, fresh_bytes, durability, fresh_s, bundle_bytes, max_bytes):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for module in (outbox_module, queues_module):
            patch.setattr(module, 'MAX_FRESH_BYTES', fresh_bytes)
        patch.setattr(outbox_module, 'OUTAGE_AFTER_S', 0.001)
        patch.setattr(outbox_module, 'FRESH_S', fresh_s)
        patch.setattr(queues_module, 'BACKLOG_READ_BYTES', 30)
        robot = Robot(Path(folder), durability, bundle_bytes, max_bytes)
        for action, amount in steps:
            act(robot, action, amount, patch)
        robot.give_back()
        robot.outbox.flush()
        while robot.take():
            robot.settle(1)
        lost = sum(robot.counters.dropped().values())
        if robot.killed_with_memory:
            assert len(robot.settled) <= robot.made
        else:
            assert robot.made <= len(robot.settled) + lost \
                <= robot.made + robot.settled_and_on_disk, robot.counters.dropped()
            assert not lost or max_bytes < 1000
        robot.outbox.flush()
        assert robot.journal.points == 0
        assert robot.outbox.idle
        assert robot.outbox.pending() == (0, 0)
        assert robot.outbox.unsettled_points() == 0
        assert not robot.outbox._queues.known
        robot.outbox.close_backlog()
        robot.journal.close()


def act(robot: Robot, action: str, amount, patch: pytest.MonkeyPatch) -> None:
    if action == 'make':
        robot.make(*amount)
    elif action == 'take':
        for _ in range(amount):
            robot.take()
    elif action == 'settle':
        robot.settle(amount)
    elif action == 'give_back':
        robot.give_back()
    elif action == 'split':
        robot.split(amount)
    elif action == 'postpone':
        robot.postpone(amount)
    elif action == 'flush':
        robot.outbox.flush()
    elif action == 'refuse_disk':
        robot.refuse_disk(patch)
    else:
        robot.restart()


@pytest.fixture
def robot(tmp_path):
    robot = Robot(tmp_path)
    yield robot
    robot.outbox.close_backlog()
    robot.journal.close()


def test_urgent_goes_before_state_before_bulk(robot):
    for lane in ('bulk', 'state', 'urgent', 'state'):
        robot.make(lane)
    assert [number(robot.take()) for _ in range(4)] == [2, 1, 3, 0]


def test_fresh_data_goes_before_the_backlog_and_that_in_order(robot):
    for _ in range(3):
        robot.make('state')
    robot.restart()
    robot.make('state')
    assert [number(robot.take()) for _ in range(4)] == [3, 0, 1, 2]


def test_what_could_not_be_sent_for_a_while_goes_behind_what_is_measured_now(robot, monkeypatch):
    monkeypatch.setattr(outbox_module, 'FRESH_S', 0.0)
    for _ in range(3):
        robot.make('state')
    robot.take()
    robot.give_back()
    robot.outbox.flush()
    robot.outbox.flush()
    monkeypatch.setattr(outbox_module, 'FRESH_S', 60.0)
    robot.make('state')
    assert [number(robot.take()) for _ in range(4)] == [3, 0, 1, 2]


def test_what_comes_back_is_next_and_in_order(robot):
    for _ in range(4):
        robot.make('state')
    for _ in range(3):
        robot.take()
    robot.give_back()
    assert [number(robot.take()) for _ in range(4)] == [0, 1, 2, 3]


def test_a_disk_that_refuses_loses_nothing_of_what_fits_into_memory(robot, monkeypatch):
    def refuse(*_):
        raise JournalError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr(robot.journal, 'write', refuse)
        for _ in range(3):
            with pytest.raises(JournalError):
                robot.make('state')
    assert robot.outbox.unwritten()[0] == 3
    robot.outbox.flush()
    assert robot.outbox.unwritten() == (0, 0)
    assert [number(robot.take()) for _ in range(3)] == [0, 1, 2]


def test_the_sender_is_woken_for_new_frames_only(robot):
    woken = []
    robot.outbox.wake = lambda: woken.append(1)
    robot.make('state')
    robot.take()
    robot.settle(1)
    robot.outbox.flush()
    assert len(woken) == 1


def test_the_halves_of_a_frame_are_taken_after_a_flush_in_its_place(robot):
    robot.make('state', 5)
    frame = robot.take()
    assert robot.outbox.split(frame.key)
    assert not robot.outbox.idle
    assert robot.outbox.take() is None
    robot.outbox.flush()
    halves = [robot.outbox.take() for _ in range(2)]
    assert [numbers(half) for half in halves] == [[0, 1], [2, 3, 4]]
    assert {half.lane for half in halves} == {frame.lane}
    assert {half.made_ms for half in halves} == {frame.made_ms}
    assert robot.journal.points == 5


@pytest.mark.parametrize('flushed', [False, True])
def test_a_kill_while_a_frame_is_split_leaves_it_or_both_halves(robot, flushed):
    robot.make('state', 4)
    assert robot.outbox.split(robot.take().key)
    if flushed:
        robot.outbox.flush()
    robot.restart()
    left = []
    while frame := robot.take():
        left.append(numbers(frame))
    assert left == ([[0, 1], [2, 3]] if flushed else [[0, 1, 2, 3]])


def test_a_single_point_cannot_be_split_and_stays_taken(robot):
    robot.make('state')
    frame = robot.take()
    assert not robot.outbox.split(frame.key)
    assert robot.outbox.settle([frame.key]) == 1


def test_halves_do_not_pile_up_while_the_disk_refuses(robot):
    robot.make('state', 2 ** 8)
    bound = outbox_module.MAX_UNWRITTEN_HALVES
    for _ in range(bound):
        robot.make('bulk', 2)
    robot.outbox.take()
    for _ in range(bound):
        assert robot.outbox.split(robot.outbox.take().key)
    assert len(robot.outbox._halves) == bound
    robot.outbox.flush()
    taken = 0
    while robot.take():
        taken += 1
    assert taken == bound + bound // 2


def test_a_postponed_frame_comes_after_all_others(robot):
    for _ in range(3):
        robot.make('state')
    robot.outbox.postpone(robot.take().key)
    robot.taken.clear()
    robot.make('bulk')
    assert [number(robot.take()) for _ in range(4)] == [1, 2, 3, 0]


def test_not_more_than_a_few_frames_are_kept_aside(robot):
    for _ in range(queues_module.MAX_POSTPONED_FRAMES + 2):
        robot.make('state')
    for _ in range(queues_module.MAX_POSTPONED_FRAMES + 1):
        robot.outbox.postpone(robot.outbox.take().key)
    assert number(robot.take()) == queues_module.MAX_POSTPONED_FRAMES


def test_a_backlog_that_cannot_be_read_is_passed_over_and_tried_again(
        robot, monkeypatch, caplog):
    robot.make('urgent')
    robot.make('state')
    robot.restart()
    read = Backlog.read

    def read_no_urgent(backlog, lane, *limits):
        if lane is Lane.URGENT:
            raise JournalError('robot.db: frames cannot be read back: malformed')
        return read(backlog, lane, *limits)

    with monkeypatch.context() as patch:
        patch.setattr(Backlog, 'read', read_no_urgent)
        robot.make('bulk')
        assert [number(robot.take()) for _ in range(2)] == [2, 1]
        assert robot.take() is None
        assert robot.take() is None
        robot.outbox._queues._unreadable_until = dict.fromkeys(Lane, 0.0)
        assert robot.take() is None
    assert robot.counters['backlog_unreadable'] == 2
    assert [record.levelname for record in caplog.records] == ['ERROR']
    assert 'cannot be read back: malformed' in caplog.text
    robot.outbox._queues._unreadable_until = dict.fromkeys(Lane, 0.0)
    assert number(robot.take()) == 0


def test_a_long_frame_of_an_earlier_version_is_sent_in_parts(robot):
    points = [b'{"value":%d,"x":"%b"}' % (index, b'x' * 900) for index in range(800)]
    robot.made = len(points)
    robot.outbox.close_backlog()
    robot.journal.write([
        Frame(key_of(Lane.STATE, 1), Lane.STATE, len(points), 1, b','.join(points))])
    robot.restart()
    for _ in range(20):
        while robot.take():
            pass
        robot.outbox.flush()
    assert max(len(frame.points_json) for frame in robot.taken.values()) <= 128_000
    robot.settle(len(robot.taken))
    assert robot.settled == set(range(800))


def test_with_durability_outage_only_what_is_not_delivered_soon_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox_module, 'OUTAGE_AFTER_S', 3600.0)
    robot = Robot(tmp_path, Durability.OUTAGE)
    robot.make('state')
    robot.make('bulk')
    assert robot.journal.points == 0
    assert robot.outbox.pending()[0] == 2
    robot.take()
    robot.settle(1)
    monkeypatch.setattr(outbox_module, 'OUTAGE_AFTER_S', 0.0)
    robot.outbox.flush()
    assert robot.journal.points == 1
    robot.make('urgent')
    robot.outbox.flush(everything=True)
    robot.restart()
    assert [number(robot.take()) for _ in range(2)] == [2, 1]
    robot.outbox.close_backlog()
    robot.journal.close()


def test_what_waits_together_leaves_together_within_the_limits(tmp_path):
    robot = Robot(tmp_path, bundle_bytes=128_000)
    for _ in range(10):
        robot.make('state', 3)
    assert robot.outbox.take(Turn.STATE, room_points=2) is None
    assert numbers(robot.take()) == list(range(30))
    robot.make('bulk', 5)
    robot.make('bulk', 5)
    frame = robot.outbox.take(room_points=9)
    assert numbers(frame) == [30, 31, 32, 33, 34]
    robot.outbox.give_back([frame.key])
    both = robot.outbox.take()
    assert both.points == 10
    assert robot.outbox.settle([both.key]) == 10
    robot.settle(1)
    robot.outbox.flush()
    assert robot.journal.points == 0
    robot.outbox.close_backlog()
    robot.journal.close()


def test_what_is_refused_in_company_is_tried_alone(tmp_path):
    robot = Robot(tmp_path, bundle_bytes=128_000)
    for _ in range(3):
        robot.make('state', 2)
    assert robot.outbox.split(robot.outbox.take().key)
    assert [numbers(robot.outbox.take()) for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    robot.outbox.close_backlog()
    robot.journal.close()


def events(robot: Robot) -> list[dict]:
    found = []
    while frame := robot.outbox.take():
        found += [point for point in json.loads(b'[%b]' % frame.points_json)
                  if point.get('metric') == 'plexus.data_lost']
        robot.outbox.settle([frame.key])
    return found


def test_a_loss_is_told_once_for_each_episode_with_its_span(tmp_path, monkeypatch):
    for module in (outbox_module, queues_module):
        monkeypatch.setattr(module, 'MAX_FRESH_BYTES', 0)
    robot = Robot(tmp_path, max_bytes=3 * (11 + 64))
    robot.outbox.now_ms = iter(range(1000, 2000)).__next__
    for _ in range(8):
        robot.make('bulk')
    robot.outbox.flush()
    assert robot.counters.dropped() == {'journal_full': 5}
    assert robot.outbox.lane_states()[Lane.BULK].totals.lost == {'journal_full': 5}
    assert robot.journal.noted_losses() == [Loss('journal_full', 5, 1000, 1004)]
    assert events(robot) == []
    # However the process ends, the next one tells it.
    robot.outbox.flush()
    robot.restart()
    monkeypatch.setattr(losses_module, 'QUIET_S', 0.0)
    robot.outbox.now_ms = lambda: 5000
    robot.outbox.flush()
    assert events(robot) == [{
        'class': 'event', 'metric': 'plexus.data_lost', 'timestamp': 5000,
        'value': {'reason': 'journal_full', 'points': 5, 'from_ms': 1000, 'to_ms': 1004}}]
    robot.outbox.flush()
    assert events(robot) == []
    assert robot.journal.noted_losses() == []
    robot.outbox.close_backlog()
    robot.journal.close()


def test_a_disk_that_refuses_does_not_keep_data_from_the_gateway(robot, monkeypatch):
    def refuse(*_):
        raise JournalError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr(robot.journal, 'write', refuse)
        with pytest.raises(JournalError):
            robot.make('state')
        assert number(robot.take()) == 0
        robot.settle(1)
        patch.setattr(outbox_module, 'MAX_UNWRITTEN_BYTES', 44)
        for lane in ('bulk', 'state', 'state', 'state', 'state'):
            with pytest.raises(JournalError):
                robot.make(lane)
    robot.outbox.flush()
    assert robot.counters.dropped() == {'disk_refused': 1}
    assert [number(robot.take()) for _ in range(4)] == [2, 3, 4, 5]


def test_damage_that_is_met_in_reading_costs_only_what_it_hit(tmp_path, monkeypatch):
    for module in (outbox_module, queues_module):
        monkeypatch.setattr(module, 'MAX_FRESH_BYTES', 0)
    monkeypatch.setattr(queues_module, 'BACKLOG_READ_BYTES', 1)
    robot = Robot(tmp_path)
    for _ in range(400):
        robot.make('state', 20)
    robot.journal._database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    with robot.journal.path.open('r+b') as file:
        file.seek(8 * 16384)
        file.write(b'\xa5' * 16384)
    robot.journal._database.execute('PRAGMA cache_size = 0')
    for _ in range(3):
        while robot.take():
            robot.settle(1)
        with contextlib.suppress(JournalError):
            robot.outbox.flush()
    lost = robot.counters.dropped()['journal_damaged']
    assert 0 < lost < 3000
    assert len(robot.settled) + lost >= robot.made == 8000
    assert robot.outbox.idle
    robot.outbox.close_backlog()
    robot.journal.close()


def test_what_is_urgent_is_offered_before_it_is_written_and_the_rest_after(robot):
    robot.lanes.sinks['urgent'].add({'value': 1})
    robot.lanes.sinks['state'].add({'value': 2})
    robot.outbox.collect()
    frame = robot.outbox.take()
    assert frame is not None
    assert frame.lane is Lane.URGENT
    assert robot.outbox.take() is None
    robot.outbox.write()
    other = robot.outbox.take()
    assert other is not None
    assert other.lane is Lane.STATE
    assert robot.journal.points == 2
    robot.outbox.settle([frame.key, other.key])
    robot.outbox.flush()
    assert robot.journal.points == 0


def test_what_is_urgent_and_stored_before_it_was_written_is_not_written_any_more(robot):
    robot.lanes.sinks['urgent'].add({'value': 1})
    robot.outbox.collect()
    frame = robot.outbox.take()
    assert frame is not None
    robot.outbox.settle([frame.key])
    robot.outbox.write()
    assert robot.journal.points == 0
    assert robot.outbox.take() is None


def test_a_frame_that_is_split_stays_on_disk_until_its_halves_are(robot):
    robot.lanes.sinks['urgent'].add({'value': 1})
    robot.lanes.sinks['urgent'].add({'value': 2})
    robot.outbox.flush()
    frame = robot.outbox.take()
    assert frame is not None
    assert robot.outbox.split(frame.key)
    robot.outbox.write()  # on its own thread, before anything else was collected
    assert robot.journal.points == 2
