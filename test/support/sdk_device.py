# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
A device made of an official SDK of any version: it does what stdin asks, one JSON line each.

Run by the tests as a program, with the SDK's folder first in PYTHONPATH.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import plexus
from plexus import Plexus
from plexus.client import PlexusError
from plexus.client import RetryConfig

JPEG = bytes.fromhex('FFD8FFE000000000FFD9')


def tare(name, params):
    if params.get('cell') == 13:
        raise RuntimeError('load cell offline')
    return {'command': name, 'cell': params['cell']}


def declare(px):
    """Declare everything that this version can declare."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        px.on_command('tare', tare)
    if not hasattr(px, 'command'):
        return

    @px.command('heat', title='Heat', idempotent=True, danger='dangerous', params={
        'target_c': {'type': 'number', 'minimum': 20, 'maximum': 1250, 'unit': 'C'},
        'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp'}})
    def heat(run, target_c, mode):
        run.progress(50, 'halfway')
        run.progress(100, 'there')
        return {'target_c': target_c, 'mode': mode, 'attempt': run.attempt}

    @px.command('fail')
    def fail(run):
        raise ValueError('out of gas')


def send_all(px, first):
    px.send('zone1.temp_c', 812.5, timestamp=1_790_000_000.0, tags={'zone': '1'})
    px.send_batch([('imu.x', 0.125), ('imu.y', -3)], timestamp=1_790_000_001.0)
    px.event('fault', {'code': 7}, timestamp=1_790_000_002.0)
    return {'accepted': True}


def send_numbers(px, asked):
    """Send numbered points, whatever becomes of them."""
    points = [('number', index, 1_790_000_000.0 + index)
              for index in range(asked['from'], asked['to'])]
    error = None
    try:
        px.send_batch(points)
    except (PlexusError, OSError) as seen:
        error = str(seen)
    return {'error': error, 'buffered': px.buffer_size()}


def flush(px, asked):
    """Send until nothing is kept back, for as long as the test has patience."""
    deadline = time.monotonic() + 20
    while px.buffer_size() and time.monotonic() < deadline:
        try:
            px.flush_buffer()
        except (PlexusError, OSError):
            time.sleep(0.05)
    return {'buffered': px.buffer_size()}


def show(px, asked):
    return {'queued': px.send_video_frame(JPEG, camera_id='front')}


def show_heat(px, asked):
    import numpy
    return {'sent': px.send_thermal_frame(
        numpy.array([[20.0, 21.5], [22.0, 30.25]], dtype='float32'), camera_id='front')}


def run(px, asked):
    if not hasattr(px, 'start_run'):
        with px.run('motor-test-001', tags={'operator': 'kt'}):
            px.send('motor.temp_c', 42.0)
        return {'run_id': 'motor-test-001'}
    verdicts = {}
    for name, limit in (('cool', 85), ('too hot', 40)):
        begun = px.start_run(name, pass_criteria=[
            {'metric': 'motor.temp_c', 'operator': '<', 'value': limit, 'label': 'stays cool'}])
        for value in (41.0, 42.0):
            px.send('motor.temp_c', value)
        assert px._ws.wait_for_acks(10)
        verdicts[name] = px.end_run(begun['id'])
    return {'runs': verdicts}


def close(px, asked):
    begin = time.monotonic()
    px.close()
    return {'took_s': time.monotonic() - begin}


DEEDS = {deed.__name__: deed for deed in (
    send_all, send_numbers, flush, show, show_heat, run, close)}


def main():
    px = Plexus(source_id='rig-1', retry_config=RetryConfig(max_retries=0), timeout=1.0)
    declare(px)
    px.send('hello', 1, timestamp=1_790_000_000.0)
    link = px._ws
    print(json.dumps({'version': plexus.__version__, 'live': link.wait_authenticated(10)}),
          flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(DEEDS[asked['do']](px, asked)), flush=True)


if __name__ == '__main__':
    main()
