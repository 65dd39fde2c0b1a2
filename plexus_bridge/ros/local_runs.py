# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/start_run`` and ``~/end_run``: runs at the gateway, for the robot's own nodes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
from datetime import datetime
from datetime import timezone
import logging
import queue
import threading
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from plexus_bridge import encoding
from plexus_bridge.client.runs import Runs
from plexus_bridge.client.runs import Whose
from plexus_bridge.errors import AuthenticationError
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import RefusedError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.key_values import json_object
from plexus_msgs.msg import CriterionResult
from plexus_msgs.msg import PassCriterion
from plexus_msgs.srv import EndRun
from plexus_msgs.srv import StartRun

log = logging.getLogger(__name__)

MAX_WAITING = 16

Asked = Callable[[], dict[str, Any]]


class LocalRuns:
    """Asks the gateway on a thread of its own; the executor's waits for no network."""

    def __init__(self, node: Node, chores: Chores, runs: Runs):
        self._chores = chores
        self._runs = runs
        # The run that was opened last and is not ended, as the gateway told it.
        self._last: Mapping[str, Any] = {}
        self._work: queue.Queue[Callable[[], None]] = queue.Queue(MAX_WAITING)
        # Left behind if the gateway does not answer while the bridge ends.
        self._worker = threading.Thread(target=self._serve, name='plexus-runs', daemon=True)
        self._worker.start()
        group = ReentrantCallbackGroup()
        node.create_service(StartRun, '~/start_run', self._start, callback_group=group)
        node.create_service(EndRun, '~/end_run', self._end, callback_group=group)

    def close(self) -> None:
        """Take no more; what is being asked is left behind."""
        with contextlib.suppress(queue.Full):
            self._work.put_nowait(self._runs.close)

    @property
    def last_run(self) -> str:
        """The run that was opened last, '' once it is ended."""
        return str(self._last.get('id', ''))

    def _serve(self) -> None:
        while True:
            self._work.get()()

    async def _start(self, request: Any, response: Any) -> Any:
        try:
            ask = self._opening(request)
        except CommandError as error:
            response.message = str(error)
            return response
        run = await self._asked(ask, response)
        if run is not None:
            self._last = run
            response.run_id = self.last_run
            _set_time(response.started_at, run.get('started_at'))
        return response

    def _opening(self, request: Any) -> Asked:
        if not 1 <= len(request.name) <= 200:
            raise CommandError('bad_params', f'name: saw {len(request.name)} characters, '
                               'expected 1 to 200')
        organisation = request.scope == StartRun.Request.SCOPE_ORGANISATION
        metadata = json_object(request.metadata_json, 'metadata_json')
        criteria = [_criterion(one) for one in request.pass_criteria]
        started_at = _iso(request.started_at) or self._runs.now()
        return lambda: self._runs.start(
            request.name, None if organisation else Whose.OWN,
            tags={pair.key: pair.value for pair in request.tags} or None,
            metadata=metadata or None, pass_criteria=criteria or None,
            started_at=started_at)

    async def _end(self, request: Any, response: Any) -> Any:
        run_id = request.run_id or self.last_run
        try:
            changes = self._changes(request, run_id)
        except CommandError as error:
            response.message = str(error)
            return response
        aborted = request.outcome == EndRun.Request.OUTCOME_ABORTED
        last = self._last
        ended_at = _iso(request.ended_at) or self._runs.now()

        def ask() -> dict[str, Any]:
            metadata = changes.get('metadata')
            if metadata is not None:
                known = last if run_id == last.get('id') else self._runs.show(run_id)
                changes['metadata'] = {**(known.get('metadata') or {}), **metadata}
            return self._runs.end(
                run_id, 'aborted' if aborted else 'completed', ended_at, changes)

        run = await self._asked(ask, response)
        if run is not None:
            if run_id == self.last_run:
                self._last = {}
            response.run_id = run_id
            _set_time(response.ended_at, run.get('ended_at'))
            _set_verdict(response, run)
        return response

    @staticmethod
    def _changes(request: Any, run_id: str) -> dict[str, Any]:
        if not run_id:
            raise CommandError('bad_params', 'run_id: is missing, and start_run has opened none')
        changes: dict[str, Any] = {}
        if request.pass_criteria:
            changes['pass_criteria'] = [_criterion(one) for one in request.pass_criteria]
        if metadata := json_object(request.metadata_json, 'metadata_json'):
            changes['metadata'] = metadata
        return changes

    async def _asked(self, ask: Asked, response: Any) -> dict[str, Any] | None:
        """Return what the gateway answers; None, with `message` and `error_code`, for a no."""
        answer: Future[Any] = Future()

        def work() -> None:
            try:
                found: Any = ask()
            except PlexusError as error:
                found = error
            except Exception as error:
                log.exception('unexpected error in a request to the gateway')
                found = error
            self._chores.settle(answer, found)

        try:
            self._work.put_nowait(work)
        except queue.Full:
            response.message = f'{MAX_WAITING} requests wait for the gateway already; try again'
            return None
        found = await answer
        if isinstance(found, dict):
            response.success = True
            return found
        response.message = str(found)
        response.error_code = found.code if isinstance(
            found, RefusedError | AuthenticationError) else ''
        return None


def _criterion(criterion: Any) -> dict[str, Any]:
    found = {'metric': criterion.metric, 'operator': criterion.comparison,
             'value': criterion.value}
    return {**found, 'label': criterion.label} if criterion.label else found


def _iso(stamp: Any) -> str | None:
    if not stamp.sec and not stamp.nanosec:
        return None
    moment = datetime.fromtimestamp(stamp.sec, timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.') + f'{stamp.nanosec // 1_000_000:03d}Z'


def _set_time(stamp: Any, text: object) -> None:
    try:
        moment = datetime.fromisoformat(str(text).replace('Z', '+00:00'))
    except ValueError:
        return
    stamp.sec = int(moment.timestamp())
    stamp.nanosec = moment.microsecond * 1000


def _set_verdict(response: Any, run: Mapping[str, Any]) -> None:
    verdict = run.get('test_result')
    if not isinstance(verdict, Mapping) or not isinstance(verdict.get('passed'), bool):
        return
    response.verdict = (
        EndRun.Response.VERDICT_PASSED if verdict['passed'] else EndRun.Response.VERDICT_FAILED)
    response.verdict_json = encoding.dumps(dict(verdict)).decode()
    results = verdict.get('criteria_results')
    for one in results if isinstance(results, list) else ():
        if isinstance(one, Mapping):
            response.results.append(_result(one))


def _result(one: Mapping[str, Any]) -> Any:
    """Return one finding; its shape is the gateway's own (section 10.5)."""
    value = one.get('value')
    criterion = PassCriterion(
        metric=str(one.get('metric', '')), comparison=str(one.get('operator', '')),
        value=float(value) if isinstance(value, int | float) else 0.0,
        label=str(one.get('label') or ''))
    return CriterionResult(
        criterion=criterion, passed=one.get('passed') is True,
        detail=str(one.get('detail') or one.get('reason') or ''))
