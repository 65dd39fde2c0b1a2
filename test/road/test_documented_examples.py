# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The examples of the platform's documents, run with the official SDK and with ours.

Nothing but the package's name differs; gateway and key come from the environment. A camera, FFmpeg
and the functions that examples leave to the reader are stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess
import sys

from local_gateway import LocalGateway
from local_gateway import serving
import pytest

FRAMES = 5

# The skill of 0.5.2, in its order, and the guides of 0.16.0: one program.
TELEMETRY = '''
from plexus import Plexus

px = Plexus(source_id="SOURCE")

px.send("battery.voltage", 12.4)
px.send("motor.rpm", 3200, tags={"motor_id": "A1"})
px.send_batch([
    ("battery.voltage", 12.4),
    ("battery.current_ma", 340),
    ("motor.rpm", 3200),
])

px.event("fault", "E-stop triggered")
px.event("state_change", {"from": "IDLE", "to": "RUNNING"})
px.event("sensor_error", {"sensor": "imu", "code": 42}, tags={"motor": "A"})
px.event("log", {"level": "error", "msg": "IMU read timed out"})

with px.run("thermal-cycle-001"):
    while running():
        px.send("temperature", read_temp())

t_imu, t_baro = 1790000000.25, 1790000000.5
px.send_batch([
    ("imu.accel_x", 0.12, t_imu),
    ("pressure", 1013.2, t_baro),
    ("robot.state", "RUNNING"),
    ("position", {"x": 1.0, "y": 2.0}),
])

with px.batch(interval_ms=50) as b:
    while running():
        b.send("att.rate_x", read_temp())

with px.run("hotfire-03", pass_criteria=[
    {"metric": "motor.temp_c", "operator": "<", "value": 85},
]) as run:
    px.send("motor.temp_c", 70)

# MQTT and CAN, whatever library reads them
px.send("sensors/room/1".replace("/", "."), float(b"21.5"))
px.send(f"can.0x{0x123:x}", int.from_bytes(b"\\xde\\xad", "big"))

px.buffer_size()
px.flush_buffer()

@px.command("power_off", title="Power off", danger="critical", idempotent=True,
            expires_in=30,
            params={"outlet": {"type": "integer", "minimum": 1, "maximum": 8}})
def power_off(run, outlet):
    return {"outlet": outlet, "state": "off"}

px.serve(timeout=0.2)

px = Plexus(persistent_buffer=True)
px.send("made.up", 1)
px.close()
px = Plexus(persistent_buffer=False)
px.send("made.up", 2)
px.close()
'''

# The skill's and the video guide's cameras.
VIDEO = '''
import cv2
from plexus import Plexus

px = Plexus(api_key="YOUR_API_KEY", source_id="SOURCE")

cap = cv2.VideoCapture(0)
while True:
    ret, frame = cap.read()
    if ret:
        px.send_video_frame(frame=frame, camera_id="front")
    else:
        break

stop = px.stream_camera(url="rtsp://192.168.1.10/stream", camera_id="front")
# ... do other work ...
stop.set()  # stop streaming

stop = px.stream_camera("rtsp://192.168.1.10/stream", camera_id="front")
stop.set()
px.close()
'''

STAND_INS = f'''
import itertools
import cv2
import numpy as np

_running = itertools.cycle([True, True, True, False])
def running(): return next(_running)
def read_temp(): return 21.5

class VideoCapture:
    def __init__(self, index): self.left = {FRAMES}
    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((48, 64, 3), np.uint8)
cv2.VideoCapture = VideoCapture
'''


@pytest.fixture(scope='module')
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    with serving(tmp_path_factory.mktemp('examples')) as gateway:
        yield gateway


def run_example(text: str, package: str, source: str, gateway: LocalGateway, folder: Path) -> str:
    """Run an example with a home of its own; returns what it said on stderr."""
    tools = folder / 'bin'
    tools.mkdir()
    (tools / 'ffmpeg').write_text(f'#!{sys.executable}\nimport time\ntime.sleep(60)\n')
    (tools / 'ffmpeg').chmod(0o755)
    text = text.replace('from plexus import', f'from {package} import')
    text = text.replace('SOURCE', source).replace('YOUR_API_KEY', gateway.key)
    done = subprocess.run(
        [sys.executable, '-c', STAND_INS + text], capture_output=True, text=True, timeout=60,
        check=False, cwd=folder, env={
            **os.environ, **gateway.environment(folder),
            'PATH': f'{tools}{os.pathsep}{os.environ["PATH"]}'})
    assert done.returncode == 0, done.stderr
    return done.stderr


PACKAGES = pytest.mark.parametrize('package', ['plexus', 'plexus_bridge'])


@PACKAGES
def test_the_examples_of_telemetry_events_runs_and_commands(package, gateway, tmp_path):
    source = f'drone-{package.replace("_", "-")}'
    said = run_example(TELEMETRY, package, source, gateway, tmp_path)
    assert '[plexus] ' in said
    assert gateway.get(f'/v1/sources/{source}/metrics') == [
        'att.rate_x', 'battery.current_ma', 'battery.voltage', 'can.0x123', 'imu.accel_x',
        'motor.rpm', 'motor.temp_c', 'pressure', 'sensors.room.1', 'temperature']
    latest = gateway.get(f'/v1/sources/{source}/metrics/latest')['metrics']
    assert latest['can.0x123'] == 0xdead
    assert {name for name, _ in gateway.events(source)} >= {
        'fault', 'state_change', 'sensor_error', 'log', 'robot.state', 'position'}
    runs = gateway.get('/api/runs', source_id=source)['runs']
    assert {run['name']: (run['test_result'] or {}).get('passed') for run in runs} == {
        'hotfire-03': True, 'thermal-cycle-001': None}


@PACKAGES
def test_the_examples_of_cameras(package, gateway, tmp_path):
    source = f'robot-{package.replace("_", "-")}'
    run_example(VIDEO, package, source, gateway, tmp_path)
