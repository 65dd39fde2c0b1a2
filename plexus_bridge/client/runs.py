# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs (protocol section 10): stretches of time with a name, found, compared and judged later."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import timezone
import enum
from typing import Any
from urllib.parse import quote

import requests

from plexus_bridge import encoding
from plexus_bridge.client.http_session import open_session
from plexus_bridge.client.http_session import read_content
from plexus_bridge.client.settings import Settings
from plexus_bridge.errors import AuthenticationError
from plexus_bridge.errors import RefusedError
from plexus_bridge.errors import SettingError
from plexus_bridge.errors import UnreachableError

_SHOWN = 400
# A run with all its notes and criteria is far shorter.
MAX_ANSWER_BYTES = 1_000_000
_CREATED_BY = 'plexus-bridge'


class Whose(enum.Enum):
    """Stands for the client's own source where None means the whole organisation."""

    OWN = 'own source'


class Runs:
    """
    Begins and ends runs at the app API; any thread may call.

    `now_ms` is the gateway's clock. UnreachableError if there is no answer, AuthenticationError
    for a refused key, RefusedError for every other refusal: 402 means that the plan has no runs.
    """

    def __init__(self, settings: Settings, user_agent: str, timeout_s: float,
                 now_ms: Callable[[], int]):
        self._settings = settings
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._session = open_session(settings.endpoint)
        self._session.headers.update({
            'x-api-key': settings.api_key, 'User-Agent': user_agent,
            'Content-Type': 'application/json', 'Connection': 'close'})

    def start(self, name: str, source_id: str | Whose | None, *, tags: Mapping[str, Any] | None,
              metadata: Mapping[str, Any] | None,
              pass_criteria: Sequence[Mapping[str, Any]] | None,
              started_at: str | None) -> dict[str, Any]:
        """Begin a run and return it; an own source that is not known yet is registered."""
        own = source_id is Whose.OWN or source_id == self._settings.source_id
        body: dict[str, Any] = {
            'name': name, 'source_id': self._settings.source_id if own else source_id,
            'status': 'active', 'started_at': started_at or self.now()}
        for key, value in (
                ('tags', tags), ('metadata', metadata), ('pass_criteria', pass_criteria)):
            if value is not None:
                body[key] = value
        try:
            return self._run('POST', '/api/runs', body)
        except RefusedError as error:
            if not (own and error.status == 404 and 'NOT_FOUND' in str(error)):
                raise
        self._register()
        return self._run('POST', '/api/runs', body)

    def end(self, run: Mapping[str, Any] | str, status: str, ended_at: str | None,
            changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        End a run, given as such or by its id, and return it with its verdict.

        `changes` are further fields of section 10.1, such as `pass_criteria`.
        """
        run_id = run if isinstance(run, str) else run.get('id')
        if not isinstance(run_id, str) or not run_id:
            raise SettingError(f'run: saw {str(run)[:80]!r}, expected a run or its id')
        return self._run('PATCH', f'/api/runs/{quote(run_id, safe="")}',
                         {**(changes or {}), 'status': status,
                          'ended_at': ended_at or self.now()})

    def show(self, run_id: str) -> dict[str, Any]:
        """Return a run as the gateway has it now."""
        return self._run('GET', f'/api/runs/{quote(run_id, safe="")}', None)

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def now(self) -> str:
        """Return the gateway's time as the app API writes it."""
        moment = datetime.fromtimestamp(self._now_ms() / 1000, timezone.utc)
        return moment.strftime('%Y-%m-%dT%H:%M:%S.') + f'{moment.microsecond // 1000:03d}Z'

    def _run(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        run = self._request(method, path, body).get('run')
        if not isinstance(run, dict):
            raise RefusedError(
                f'{method} {self._settings.endpoint}{path}: saw no "run" in the answer', 200, '')
        return run

    def _register(self) -> None:
        try:
            self._request('POST', '/api/sources', {
                'source_type': 'device', 'slug': self._settings.source_id,
                'device_type': 'script', 'metadata': {'created_by': _CREATED_BY}})
        except RefusedError as error:
            if error.status != 409 and 'already exists' not in str(error):
                raise

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None
                 ) -> dict[str, Any]:
        url = f'{self._settings.endpoint}{path}'
        try:
            data = encoding.standard_dumps(body)
        except (TypeError, ValueError) as error:
            raise SettingError(f'{method} {url}: no JSON can be made of it: {error}') from None
        try:
            # A redirect is not followed: the key is for the configured address only.
            with self._session.request(
                    method, url, data=data, timeout=self._timeout_s, allow_redirects=False,
                    stream=True) as response:
                status, content = response.status_code, read_content(response, MAX_ANSWER_BYTES)
        except requests.RequestException as error:
            raise UnreachableError(f'{method} {url}: {error}') from None
        try:
            answer = encoding.loads(content)
        except ValueError:
            answer = {}
        if status in (200, 201) and isinstance(answer, dict):
            return answer
        raise _refusal(f'{method} {url}', status, content, answer)


def _refusal(what: str, status: int, content: bytes, answer: Any) -> Exception:
    code = answer.get('error', '') if isinstance(answer, dict) else ''
    text = f'{what}: saw status {status}: {content[:_SHOWN].decode(errors="replace")}'
    if status in (401, 403):
        return AuthenticationError(text, code if isinstance(code, str) else '')
    return RefusedError(text, status, code if isinstance(code, str) else '')
