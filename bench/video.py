# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Video from a camera topic to a gateway: pictures per second, CPU of each, and how old they arrive.

Publisher, subject and gateway are real; the publisher is a process of its own and so is the
subject, whose user and system time is measured. In the same run stand the limits: the JPEG
encoder alone, one picture after the other; the same at the camera's pace, so that its tables are
as cold as in a program that waits for a camera (the limit to compare with); and that with
rclpy's taking of the message from the middleware. The peer is what a user would write today: an
rclpy callback that converts as cv_bridge does and hands the array to the official SDK's
`send_video_frame`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from bridge_cpu import cpu_seconds
import cv2
import numpy as np
from video_gateway import VideoGateway

ROOT = Path(__file__).parents[1]
TOPIC = '/bench/image'
QUALITY = 85
SUBJECTS = ('encoder', 'paced', 'taking', 'bridge', 'sdk')


def scene(width: int, height: int) -> np.ndarray:
    """Return a picture with surfaces, edges and some noise, as cameras give it."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    for _ in range(60):
        centre = int(random.integers(0, width)), int(random.integers(0, height))
        colour = tuple(int(value) for value in random.integers(0, 255, 3))
        cv2.circle(picture, centre, int(random.integers(5, height // 6)), colour, -1)
    noise = random.integers(-6, 7, picture.shape)
    return np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)


def publish(width: int, height: int, rate: float, seconds: float, topics: int) -> None:
    """Publish pictures as rgb8, stamped when they are published."""
    import array

    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from rclpy.serialization import serialize_message
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image

    # Ended from outside; without handlers of rclpy's that is no error.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node('bench_camera')
    image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
    image.data = array.array('B', scene(width, height).tobytes())
    message = bytearray(serialize_message(image))
    publishers = [node.create_publisher(Image, f'{TOPIC}{index or ""}', QoSProfile(depth=2))
                  for index in range(topics)]
    while any(publisher.get_subscription_count() == 0 for publisher in publishers):
        time.sleep(0.05)
    end = time.monotonic() + seconds
    due = time.monotonic()
    while due < end:
        now_ns = time.time_ns()
        # The header's stamp are the first eight bytes of the message.
        message[4:12] = (now_ns // 10**9).to_bytes(4, 'little') + (
            now_ns % 10**9).to_bytes(4, 'little')
        for publisher in publishers:
            publisher.publish(bytes(message))
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    rclpy.shutdown()


def encoder_alone(width: int, height: int, pause_s: float = 0.0) -> float:
    """Return seconds of CPU for one picture, by the encoder that the bridge uses."""
    from plexus_bridge.video.jpeg import choose_encoder
    from plexus_bridge.video.jpeg import Pixels

    encode = choose_encoder()
    pixels = Pixels(scene(width, height), 'RGB')
    encode(pixels, QUALITY)
    costs = []
    for _ in range(60):
        time.sleep(pause_s)
        began = time.thread_time()
        encode(pixels, QUALITY)
        costs.append(time.thread_time() - began)
    return statistics.median(costs)


def taking() -> None:
    """Wait for pictures, take and encode them, and forget them, until the process is ended."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    from plexus_bridge.ros.layouts import message_layout
    from plexus_bridge.ros.memory import keep_large_blocks
    from plexus_bridge.ros.polling import polled_subscription
    from plexus_bridge.ros.polling import PolledGroup
    from plexus_bridge.ros.taking import take_bytes
    from plexus_bridge.ros.waiting import Waiter
    from plexus_bridge.video.encodings import pixels_of
    from plexus_bridge.video.jpeg import choose_encoder
    from plexus_bridge.video.raw_image import image_reader
    from plexus_bridge.video.rules import Depth

    rclpy.init()
    node = Node('bench_taking')
    keep_large_blocks()
    subscription = polled_subscription(node, Image, TOPIC, QoSProfile(depth=1), PolledGroup())
    waiter, encode = Waiter(node), choose_encoder()
    read = image_reader(message_layout('sensor_msgs/msg/Image'))
    while True:
        for ready in waiter.wait([subscription], 1.0):
            taken = take_bytes(ready, Image)
            if taken is not None:
                encode(pixels_of(read(taken[0]), Depth()), QUALITY)


def sdk() -> None:
    """Bridge by a callback and the official SDK, until the process is ended."""
    from plexus import Plexus
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    rclpy.init()
    node = Node('bench_sdk')
    client = Plexus(api_key='plx_bench', source_id='bench-sdk')

    def callback(message: Any) -> None:
        # As cv_bridge's imgmsg_to_cv2(message, 'bgr8').
        array = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        stamp = message.header.stamp.sec * 1000 + message.header.stamp.nanosec / 1e6
        client.send_video_frame(
            cv2.cvtColor(array, cv2.COLOR_RGB2BGR), camera_id='c', quality=QUALITY,
            timestamp=stamp)

    node.create_subscription(Image, TOPIC, callback, QoSProfile(depth=1))
    rclpy.spin(node)


def environment(folder: Path, url: str) -> dict[str, str]:
    return {
        **os.environ, 'PLEXUS_HOME': str(folder / 'plexus'), 'HOME': str(folder),
        'PYTHONPATH': str(ROOT), 'ROS_DOMAIN_ID': '71', 'PLEXUS_GATEWAY_URL': url,
        'PLEXUS_ENDPOINT': url, 'PLEXUS_GATEWAY_WS_URL': url.replace('http', 'ws'),
        'PLEXUS_API_KEY': 'plx_bench', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(folder / 'ros'),
        'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds_bridge.xml')}


def start(subject: str, folder: Path, environ: dict[str, str], rate: float, url: str
          ) -> subprocess.Popen[bytes]:
    command = [__file__, '--run', subject]
    if subject == 'bridge':
        (folder / 'map.yaml').write_text(
            f'version: 1\nsource_id: bench-01\ngateway: {{url: "{url}"}}\nvideo:\n'
            f'  - {{topic: {TOPIC}, camera_id: c, rate_hz: {rate * 2:g}, quality: {QUALITY}}}\n')
        command = ['-m', 'plexus_bridge.nodes.bridge', '--ros-args', '-p',
                   f'config_file:={folder / "map.yaml"}']
    with (folder / 'log').open('ab') as log:
        return subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environ,
                                cwd=folder)


def measure(subject: str, width: int, height: int, rate: float, seconds: float
            ) -> tuple[float, float, float]:
    """Return pictures per second, CPU s of each, and the age (s) that 95 % stay below."""
    gateway = VideoGateway()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = environment(folder, gateway.url)
        process = start(subject, folder, environ, rate, gateway.url)
        camera = subprocess.Popen(
            [sys.executable, __file__, '--publish', f'{width}x{height}', '--rates', str(rate),
             '--seconds', str(seconds + 12)], env={
                **environ, 'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds.xml')})
        try:
            if subject != 'taking' and not gateway.arrivals.first_picture.wait(30):
                raise SystemExit(f'{subject}: no picture came\n{(folder / "log").read_text()}')
            time.sleep(6)  # its start, and finding out what the link carries, are not measured
            gateway.arrivals.clear()
            before = cpu_seconds(process.pid)
            began = time.monotonic()
            time.sleep(seconds)
            used = cpu_seconds(process.pid) - before
            elapsed = time.monotonic() - began
            pictures = list(gateway.arrivals.pictures)
            sizes = set(gateway.arrivals.sizes)
        finally:
            for running in (process, camera):
                running.terminate()
            for running in (process, camera):
                try:
                    running.wait(10)
                except subprocess.TimeoutExpired:  # the SDK's sender may hang at its end
                    running.kill()
                    running.wait()
            gateway.close()
    if subject == 'taking':
        return rate, used / (rate * elapsed), 0.0
    if sizes - {(width, height), (0, 0)}:
        print(f'    note: {subject} sent {sizes}')
    ages = sorted(at - stamp / 1000 for at, stamp, _, _ in pictures)
    print(f'    {subject}: {statistics.mean(size for _, _, size, _ in pictures) / 1000:.0f} kB '
          'each')
    return (len(pictures) / elapsed, used / max(len(pictures), 1),
            ages[int(len(ages) * 0.95)] if ages else float('nan'))


def main() -> None:
    """Measure each size and print a row for each subject."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--publish', help='used by the benchmark itself')
    parser.add_argument('--run', help='used by the benchmark itself')
    parser.add_argument('--topics', type=int, default=1, help='used by the trial')
    parser.add_argument('--sizes', nargs='+', default=['640x480', '1920x1080'])
    parser.add_argument('--rates', type=float, nargs='+', default=[30.0])
    parser.add_argument('--subjects', nargs='+', default=list(SUBJECTS), choices=SUBJECTS)
    parser.add_argument('--seconds', type=float, default=10.0)
    args = parser.parse_args()
    if args.publish:
        width, height = (int(side) for side in args.publish.split('x'))
        publish(width, height, args.rates[0], args.seconds, args.topics)
    elif args.run:
        {'taking': taking, 'sdk': sdk}[args.run]()
    else:
        print(f'{"size":>10} {"Hz":>4}  {"":8}{"pictures/s":>11}{"CPU ms each":>13}'
              f'{"x encoder":>11}{"x paced":>9}{"p95 age ms":>12}')
        for size in args.sizes:
            for rate in args.rates:
                report(size, rate, args.subjects, args.seconds)


def report(size: str, rate: float, subjects: list[str], seconds: float) -> None:
    """Print the rows of one size and rate."""
    width, height = (int(side) for side in size.split('x'))
    limits = {'encoder': encoder_alone(width, height),
              'paced': encoder_alone(width, height, 1 / rate)}
    for subject in subjects:
        if subject in limits:
            pictures, cost, age = 1 / limits[subject], limits[subject], 0.0
        else:
            pictures, cost, age = measure(subject, width, height, rate, seconds)
        print(f'{size:>10} {rate:4.0f}  {subject:8}{pictures:11.1f}{cost * 1000:13.2f}'
              f'{cost / limits["encoder"]:11.2f}{cost / limits["paced"]:9.2f}{age * 1000:12.1f}',
              flush=True)


if __name__ == '__main__':
    main()
