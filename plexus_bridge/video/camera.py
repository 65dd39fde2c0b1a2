# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera: from the bytes of a message to a frame that waits for the link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import logging
import math
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PictureError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.protocol.video import encode_binary
from plexus_bridge.protocol.video import encode_text
from plexus_bridge.protocol.video import MAX_JPEG_BYTES
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal
from plexus_bridge.video.adaptation import Adaptation
from plexus_bridge.video.adaptation import Grade
from plexus_bridge.video.adaptation import quality_of
from plexus_bridge.video.compressed import decoded
from plexus_bridge.video.compressed import whole_jpeg
from plexus_bridge.video.encodings import pixels_of
from plexus_bridge.video.jpeg import check_whole
from plexus_bridge.video.jpeg import choose_encoder
from plexus_bridge.video.jpeg import jpeg_size
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.pacing import Pace
from plexus_bridge.video.raw_image import compressed_reader
from plexus_bridge.video.raw_image import CompressedImage
from plexus_bridge.video.raw_image import image_reader
from plexus_bridge.video.raw_image import ImageMessage
from plexus_bridge.video.raw_image import RawImage
from plexus_bridge.video.raw_image import Stamp
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.shaping import cropped
from plexus_bridge.video.shaping import greyed
from plexus_bridge.video.shaping import narrowed
from plexus_bridge.video.shaping import turned
from plexus_bridge.video.statistics import CameraStatistics
from plexus_bridge.video.thermal import celsius
from plexus_bridge.video.thermal import thermal_picture

log = logging.getLogger(__name__)

# Kinds of trouble told of one camera; all are counted.
MAX_TOLD = 8
# A picture is encoded so often at most until it is small enough.
MAX_TRIES = 4
SMALLEST_WIDTH = 16
# Of one number in a thermal frame, and of its picture where the numbers leave nothing for it.
TEMPERATURE_BYTES = 6
SMALLEST_THERMAL_BYTES = 1500

Read = Callable[[bytes], RawImage | CompressedImage]


class Camera:
    """
    Encodes on whichever thread calls `encode`, one picture at a time.

    `rule` and the pace may be changed by others meanwhile; what is under way keeps the old ones.
    """

    def __init__(self, rule: CameraRule, source_id: str, frames: VideoFrames, counters: Counters,
                 *, simulated: bool = False):
        # What is done now, and what the map asks for.
        self.rule = self.asked = rule
        self.pace = Pace(rule.rate_hz, rule.preview_s)
        self.statistics = CameraStatistics()
        self.busy = False
        # Whether a picture is wanted that something else is in the way of.
        self.blocked = False
        # Why the last picture that could not be used was so; empty while all is well.
        self.trouble = ''
        self._used = self._used_before = 0
        self._source_id = source_id
        self._frames = frames
        self._counters = counters
        self._with_stamp = rule.timestamp == 'header' and not simulated
        self._read: Read | None = None
        self._encode = choose_encoder()
        self._adaptation = Adaptation()
        self._told: set[str] = set()

    def expect(self, message: Message) -> None:
        """Prepare for a message type; MappingError if it is none of the two for images."""
        compressed = message.name == COMPRESSED_IMAGE
        self._read = compressed_reader(message) if compressed else image_reader(message)

    def wanted_at(self, now: float) -> float:
        """Return when the next picture is wanted, infinite if only another event can tell."""
        if self.pace.due > now:
            return self.pace.due
        # Said before it is looked at, so that whoever clears the way meanwhile knows of it.
        self.blocked = True
        if self.busy or not self._frames.live or self._frames.waits(self.rule.camera_id):
            return math.inf
        self.blocked = False
        return now

    def used_since_asked(self) -> bool:
        """Tell whether a picture could be used since this was asked last."""
        before, self._used_before = self._used_before, self._used
        return self._used > before

    def configure(self, rate_hz: float | None = None, quality: int | None = None,
                  max_width: int | None = None) -> None:
        """Replace what the map asks for; what is None goes back to the map's."""
        rule = self.asked
        self.rule = replace(
            rule, rate_hz=rate_hz or rule.rate_hz, quality=quality or rule.quality,
            max_width=max_width or rule.max_width)
        self.pace.set_rate(self.rule.rate_hz)

    def encode(self, message: ImageMessage, received_ms: int, captured_at: float) -> bool:
        """
        Make a frame of a message and hand it on; False if it could not be used, which is counted.

        A message is its bytes or the image itself; `received_ms` is Unix ms, `captured_at` the
        same moment in monotonic seconds.
        """
        began = time.thread_time()
        try:
            frame = self._frame(message, received_ms, captured_at)
        except (MappingError, PictureError) as error:
            self.cannot_use(str(error))
            return False
        except Exception as error:
            # OpenCV and the encoders have errors of their own for what no check has foreseen.
            self.cannot_use(f'{type(error).__name__}: {error}')
            return False
        self.trouble = ''
        self._used += 1
        self._counters.add('video_frames_encoded')
        if self._frames.live:
            self._frames.put(frame)
        self.statistics.encoded(time.thread_time() - began)
        return True

    def cannot_use(self, text: str) -> None:
        """Count a picture of no use, and tell why if it is news."""
        self._counters.drop('video_unusable')
        self.trouble = text
        kind = ''.join(sign for sign in text if not sign.isdigit())
        if kind not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(kind)
            log.error('camera %s (%s): a picture cannot be used and is left out, as will be '
                      'others: %s', self.rule.camera_id, self.rule.topic, text)

    # -- from message to frame

    def _frame(self, message: ImageMessage, received_ms: int, captured_at: float) -> VideoFrame:
        image = self._read_bytes(message) if isinstance(message, bytes) else message
        if isinstance(image, RawImage):
            image.check_size()
        if self.rule.thermal is not None:
            if isinstance(image, CompressedImage):
                raise PictureError('saw a compressed image, expected the numbers of a thermal one')
            return self._thermal_frame(image, received_ms, captured_at)
        allowed = min(self._frames.frame_bytes, MAX_JPEG_BYTES)
        jpeg, size = self._jpeg(image, allowed)
        return self._packed(image.stamp, received_ms, captured_at, jpeg, size)

    def _read_bytes(self, data: bytes) -> RawImage | CompressedImage:
        if self._read is None:
            raise MappingError('saw a message before its type was known')
        return self._read(data)

    def _packed(self, stamp: Stamp, received_ms: int, captured_at: float, jpeg: bytes,
                size: tuple[int, int], thermal: Thermal | None = None) -> VideoFrame:
        stamp_ms = message_stamp(stamp, received_ms, self._counters) \
            if self._with_stamp else received_ms
        picture = Picture(self._source_id, self.rule.camera_id, *size, stamp_ms, jpeg)
        message = encode_binary(picture) if thermal is None else encode_text(picture, thermal)
        return VideoFrame(self.rule.camera_id, message, captured_at)

    def _thermal_frame(self, image: RawImage, received_ms: int, captured_at: float) -> VideoFrame:
        rule = self.rule.thermal
        assert rule is not None
        pixels, thermal = thermal_picture(celsius(image, rule), rule)
        # As JSON a picture takes a third more, and its numbers come on top.
        beside = len(thermal.temperatures) * TEMPERATURE_BYTES
        if beside > self._frames.frame_bytes:
            # An event would wait for them; the lowest and highest are told in any case.
            self._counters.add('video_temperatures_left_out')
            beside, thermal = 0, replace(thermal, temperatures=())
        allowed = min((self._frames.frame_bytes - beside) * 3 // 4, MAX_JPEG_BYTES)
        width, height = pixels.size
        target = self._target(width, height, max(allowed, SMALLEST_THERMAL_BYTES))
        jpeg, size = self._fitted(pixels, target, max(allowed, SMALLEST_THERMAL_BYTES))
        return self._packed(image.stamp, received_ms, captured_at, jpeg, size, thermal)

    def _jpeg(self, image: RawImage | CompressedImage, allowed: int
              ) -> tuple[bytes, tuple[int, int]]:
        rule = self.rule
        whole = whole_jpeg(image) if isinstance(image, CompressedImage) else None
        if whole is not None and len(whole) <= allowed and _is_to_be_left(rule):
            size = jpeg_size(whole)
            if rule.max_width is None or size[0] <= rule.max_width:
                check_whole(whole)
                self._counters.add('video_frames_passed_through')
                self._adaptation.fits(len(whole), allowed, time.monotonic())
                return whole, size
        return self._fitted(*self._shaped(image, whole, allowed), allowed)

    def _fitted(self, pixels: Pixels, target: int, allowed: int
                ) -> tuple[bytes, tuple[int, int]]:
        """Encode at the grade that suits the link, worse ones if it turns out too large."""
        rule = self.rule
        for _ in range(MAX_TRIES):
            grade = self._adaptation.grade
            jpeg, size = self._graded(pixels, target, grade)
            if self._adaptation.fits(len(jpeg), allowed, time.monotonic()):
                break
        if len(jpeg) > MAX_JPEG_BYTES:
            raise PictureError(
                f'saw {len(jpeg)} bytes of JPEG at quality {quality_of(rule.quality, grade)}, '
                f'expected at most {MAX_JPEG_BYTES}; set max_width')
        return jpeg, size

    def _graded(self, pixels: Pixels, target: int, grade: Grade
                ) -> tuple[bytes, tuple[int, int]]:
        rule = self.rule
        smaller = narrowed(pixels, max(SMALLEST_WIDTH, round(target * grade.width)))
        smaller = turned(smaller, rule.rotate)
        return self._encode(smaller, quality_of(rule.quality, grade)), smaller.size

    def _shaped(self, image: RawImage | CompressedImage, whole: bytes | None, allowed: int
                ) -> tuple[Pixels, int]:
        """Return the pixels before they are narrowed and turned, and the width to begin from."""
        rule = self.rule
        if whole is not None and rule.crop is None:
            # Told before it is unpacked, so that no more of it is unpacked than is needed.
            target = self._target(*jpeg_size(whole), allowed)
            width = round(target * self._adaptation.grade.width)
            pixels = decoded(image, whole, width, rule.depth)  # type: ignore[arg-type]
        else:
            pixels = decoded(image, whole, None, rule.depth) \
                if isinstance(image, CompressedImage) else pixels_of(image, rule.depth)
            if rule.crop is not None:
                pixels = cropped(pixels, rule.crop)
            target = self._target(*pixels.size, allowed)
        return (greyed(pixels) if rule.grey else pixels), target

    def _target(self, width: int, height: int, allowed: int) -> int:
        """Return the width that the map allows; from it grows what the link has to carry."""
        target = min(self.rule.max_width or width, width)
        self._adaptation.begin(target * target * height // width, allowed)
        return target


def _is_to_be_left(rule: CameraRule) -> bool:
    return rule.crop is None and not rule.rotate and not rule.grey

