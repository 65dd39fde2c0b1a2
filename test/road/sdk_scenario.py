# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
One program for two clients: the official SDK, and ours with only the import changed.

    python sdk_scenario.py plexus SOURCE      or      python sdk_scenario.py plexus_bridge SOURCE

Prints what its calls returned and raised as one JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time

NOW = 1790000000

api = importlib.import_module(sys.argv[1])
told: dict[str, object] = {}


def outcome(name, call):
    """Note what a call returns, or the class of what it raises, as a program could catch it."""
    try:
        told[name] = call()
    except Exception as error:
        told[name] = 'ValueError' if isinstance(error, ValueError) else [
            kind for kind in ('AuthenticationError', 'RateLimitedError', 'PlexusError')
            if isinstance(error, getattr(api, kind))] or type(error).__name__


def main() -> None:
    px = api.Plexus(source_id=sys.argv[2])
    calls: list[object] = []

    @px.command('set_zone', title='Set zone', danger='dangerous', idempotent=True, expires_in=60,
                params={'zone': {'type': 'integer', 'minimum': 1, 'maximum': 4},
                        'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp'}})
    def set_zone(run, zone, mode):
        run.progress(50, 'half way')
        calls.append([run.command, zone, mode, run.attempt])
        return {'zone': zone}

    def tare(name, params):
        calls.append([name, params])
        px.stop_serving()
        return {'ok': True}

    px.on_command('tare', tare)
    told['decorated is the function'] = callable(set_zone)

    outcome('send', lambda: px.send('temperature', 72.5, timestamp=NOW))
    outcome('integer', lambda: px.send('motor.rpm', 3450, timestamp=NOW, tags={'motor_id': 'A1'}))
    outcome('text', lambda: px.send('robot.state', 'RUNNING', timestamp=NOW + 1))
    outcome('flag', lambda: px.send('armed', True, timestamp=NOW + 2))
    outcome('object', lambda: px.send('position', {'x': 1.5, 'y': 2.25}, timestamp=NOW + 3))
    outcome('array', lambda: px.send('angles', [0.5, 1.25, -0.5], timestamp=NOW + 4))
    outcome('class', lambda: px.send('gps', 7, timestamp=NOW + 5, data_class='event'))
    outcome('event', lambda: px.event('fault', 'E-stop triggered', timestamp=NOW + 6))
    outcome('event object', lambda: px.event(
        'change', {'from': 'IDLE', 'to': 'RUN'}, timestamp=NOW + 7, tags={'motor': 'A'}))
    outcome('milliseconds', lambda: px.send('late', 1, timestamp=NOW * 1000 + 8123))
    outcome('batch of pairs', lambda: px.send_batch(
        [('a', 1), ('b', 2.5), ('s', 'x')], timestamp=NOW + 9, tags={'site': 'lab'}))
    outcome('batch of triples', lambda: px.send_batch(
        [('a', 3, NOW + 10), ('b', 4, NOW + 11.5), ('c', 5)], timestamp=NOW + 12))
    outcome('batch of nothing', lambda: px.send_batch([]))
    outcome('not a number', lambda: px.send('bad', float('nan')))
    outcome('infinite', lambda: px.send('bad', float('inf')))
    outcome('text as metric', lambda: px.send('bad', 'x', data_class='metric'))
    outcome('too quick a batch', lambda: px.batch(interval_ms=1))
    outcome('bad slug', lambda: api.Plexus(source_id='Not A Slug'))
    outcome('bad command', lambda: px.command('Bad Name')(print))

    with px.batch(interval_ms=20) as batch:
        for index in range(3000):
            batch.send('fast', index, timestamp=NOW + 100 + index / 100)
        outcome('batch.send', lambda: batch.send('fast', 1.0, timestamp=NOW + 99))
        outcome('batch.send_batch', lambda: batch.send_batch([('slow', 1, NOW + 98)]))
        outcome('batch.flush', batch.flush)
        told['batch.dropped'] = batch.dropped
    outcome('batch after its end', lambda: batch.send('fast', 1))

    threads = [threading.Thread(target=lambda number=number: [
        px.send(f'thread{number}', index, timestamp=NOW + index) for index in range(50)])
        for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with px.run('bench-1', tags={'build': 'a41f'}, metadata={'operator': 'kt'}, pass_criteria=[
            {'metric': 'run.temp', 'operator': '<', 'value': 85, 'label': 'cool'}]) as run:
        px.send('run.temp', 80)
        px.flush_buffer()
        told['run'] = [run['name'], run['status'], run['source_id'] == px.source_id, run['tags'],
                       run['metadata'], len(run['pass_criteria'])]
    try:
        with px.run('bench-2') as run:
            raise KeyError('boom')
    except KeyError:
        told['aborted'] = 're-raised'
    run = px.start_run('org-wide', source_id=None, started_at='2026-10-01T08:00:00Z')
    ended = px.end_run(run['id'], 'aborted', ended_at='2026-10-01T09:00:00.000Z')
    told['org-wide'] = [ended['source_id'], ended['status'], ended['started_at'][:19],
                        ended['ended_at'][:19]]
    outcome('no such run', lambda: px.end_run('00000000-0000-0000-0000-000000000000'))

    outcome('flush', px.flush_buffer)
    deadline = time.monotonic() + 10
    while px.buffer_size() and time.monotonic() < deadline:
        time.sleep(0.01)
    told['buffered'] = px.buffer_size()
    told['dropped'] = [px.dropped_points, px.rate_limited_frames]
    print('ready', flush=True)
    px.serve(timeout=20)
    told['commands'] = sorted(calls, key=repr)
    print(json.dumps(told))


main()
