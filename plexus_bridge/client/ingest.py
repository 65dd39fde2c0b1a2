# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``POST /ingest`` (protocol section 5): the road for telemetry where the socket is not to be had.

Requests block, so they are made by a thread of their own, one at a time; the link's thread
hands in a frame and hears of the outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from email.utils import parsedate_to_datetime
import enum
import gzip
import math
import queue
import threading
import time

import requests

from plexus_bridge import encoding
from plexus_bridge.client.http_session import open_session
from plexus_bridge.client.http_session import read_content
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.points import FIRST_MILLISECOND_STAMP

TIMEOUT_S = 10.0
GZIP_FROM_BYTES = 1024
GZIP_LEVEL = 6
# A gateway may name a time to wait, but not keep a robot silent with it.
MAX_RETRY_AFTER_S = 300.0
# Nor may it have us ask without a pause.
MIN_RETRY_AFTER_S = 0.5
# Answers are short; who sends more is read no further.
MAX_ANSWER_BYTES = 65536
# Of these the content can be the cause, so that parts of the frame may pass.
_CONTENT_REFUSED = (400, 413, 422)
# These say so only with a gateway's words: a web server answers 400 to whoever speaks HTTP where
# it expects TLS, and means everybody.
_REFUSED_IN_JSON = (400, 422)


class Result(enum.Enum):
    """What became of a request, and what follows from it."""

    STORED = 'stored'
    CONTENT_REFUSED = 'this frame is refused as it is'
    RETRY = 'try again later'
    POSTPONE = 'try again later, others first'
    NOT_AUTHORISED = 'not authorised'


@dataclass(frozen=True)
class Outcome:
    """
    The answer to one frame; `retry_after_s` if the gateway named a time.

    Of a stored frame `dropped` points were thrown away. `date_ms` is the gateway's time as its
    answer says it, in whole seconds, `round_trip_s` how long that took.
    """

    frame: Frame
    result: Result
    detail: str = ''
    retry_after_s: float | None = None
    dropped: int = 0
    date_ms: int | None = None
    round_trip_s: float = 0.0


class HttpIngest:
    """Sends frames one after the other; `deliver` is called with each outcome, in its thread."""

    def __init__(self, gateway_url: str, api_key: str, source_id: str, user_agent: str,
                 deliver: Callable[[Outcome], None], counters: Counters):
        self._url = f'{gateway_url.rstrip("/")}/ingest'
        self._head = b'{"source_id":%b,"points":[' % encoding.dumps(source_id)
        self._session = open_session(self._url)
        self._session.headers.update({
            'x-api-key': api_key, 'Content-Type': 'application/json', 'User-Agent': user_agent})
        self._deliver = deliver
        self._counters = counters
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._busy = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a frame is on its way."""
        return self._busy

    def send(self, frame: Frame) -> None:
        """Send a frame; call only when not `busy`."""
        self._busy = True
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name='plexus-http', daemon=True)
            self._thread.start()
        self._frames.put(frame)

    def close(self, timeout_s: float) -> None:
        """Let a request that is under way end within the time, then give up on it."""
        self._frames.put(None)
        if self._thread:
            self._thread.join(timeout_s)
        self._session.close()

    def _work(self) -> None:
        while (frame := self._frames.get()) is not None:
            try:
                outcome = self._post(frame)
            except Exception as error:  # the road must not end because of one strange answer
                outcome = Outcome(frame, Result.RETRY,
                                  f'{self._url}: {type(error).__name__}: {error}')
            self._busy = False
            self._deliver(outcome)

    def _post(self, frame: Frame) -> Outcome:
        body = self._head + frame.points_json + b']}'
        headers = {}
        if len(body) > GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL)
            headers['Content-Encoding'] = 'gzip'
        self._counters.add('bytes_sent_http', len(body))
        started = time.monotonic()
        try:
            # A redirect is never followed: it would turn the POST into something else.
            with self._session.post(
                    self._url, body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False,
                    stream=True) as response:
                outcome = self._judge(frame, response, read_content(response, MAX_ANSWER_BYTES))
                return replace(outcome, date_ms=_date_ms(response),
                               round_trip_s=time.monotonic() - started)
        except requests.RequestException as error:
            return Outcome(frame, Result.RETRY, f'{self._url}: {_reason(error)}')

    def _judge(self, frame: Frame, response: requests.Response, content: bytes) -> Outcome:
        status = response.status_code
        if status == 200:
            return self._judge_success(frame, content)
        detail = f'{self._url}: saw status {status}: {_text(content, 200)!r}'
        if status in (401, 403):
            return Outcome(frame, Result.NOT_AUTHORISED, detail)
        if status in _CONTENT_REFUSED and (
                status not in _REFUSED_IN_JSON or _is_object(content)):
            return Outcome(frame, Result.CONTENT_REFUSED, detail)
        if 400 <= status < 500 and status not in (408, 425, 429):
            # 404, 405, 415 and their like come from a wrong url, which somebody will correct, so
            # the data is kept; but should it be this frame alone, the others are not to wait.
            return Outcome(frame, Result.POSTPONE, detail, _retry_after(response))
        return Outcome(frame, Result.RETRY, detail, _retry_after(response))

    def _judge_success(self, frame: Frame, content: bytes) -> Outcome:
        try:
            answer = encoding.loads(content)
            count = int(answer['count'])
            dropped = int(answer.get('dropped', 0))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return Outcome(
                frame, Result.RETRY,
                f'{self._url}: saw {_text(content, 80)!r}, expected {{"success": true, "count": '
                '…}: this is no Plexus gateway')
        # Older gateways skip without saying so: what is missing from the count was dropped.
        dropped = min(max(dropped, frame.points - count, 0), frame.points)
        return Outcome(frame, Result.STORED, dropped=dropped)


def _text(content: bytes, most: int) -> str:
    return content[:most].decode(errors='replace')


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(encoding.loads(content), dict)
    except ValueError:
        return False


def _date_ms(response: requests.Response) -> int | None:
    try:
        date = parsedate_to_datetime(response.headers['Date'])
    except (KeyError, ValueError, TypeError):
        return None
    milliseconds = int(date.timestamp() * 1000)
    return milliseconds if milliseconds >= FIRST_MILLISECOND_STAMP else None


def _retry_after(response: requests.Response) -> float | None:
    try:
        seconds = float(response.headers.get('Retry-After', ''))
    except ValueError:
        return None
    if not math.isfinite(seconds):
        return None
    return min(max(MIN_RETRY_AFTER_S, seconds), MAX_RETRY_AFTER_S)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f'no trusted connection: {error}'
    if isinstance(error, requests.Timeout):
        return f'no answer within {TIMEOUT_S:.0f} s'
    if isinstance(error, requests.ConnectionError):
        return 'no connection'
    return str(error)
