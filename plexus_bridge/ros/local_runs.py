# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/start_run`` and ``~/end_run``: runs at the gateway, for the robot's own nodes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from datetime import timezone
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from plexus_bridge import encoding
from plexus_bridge.client.runs import Runs
from plexus_bridge.client.runs import Whose
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import RefusedError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.key_values import json_object
from plexus_msgs.msg import CriterionResult
from plexus_msgs.msg import PassCriterion
from plexus_msgs.srv import EndRun
from plexus_msgs.srv import StartRun

Asked = Callable[[], dict[str, Any]]


class LocalRuns:
    """Asks the gateway on a thread of its own; the executor's waits for no network."""

    def __init__(self, node: Node, chores: Chores, runs: Runs):
        self._chores = chores
        self._runs = runs
        self._last_run = ''
        self._worker = ThreadPoolExecutor(1, thread_name_prefix='plexus-runs')
        group = ReentrantCallbackGroup()
        node.create_service(StartRun, '~/start_run', self._start, callback_group=group)
        node.create_service(EndRun, '~/end_run', self._end, callback_group=group)

    def close(self) -> None:
        """Take no more; what is being asked is left behind."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._runs.close()

    async def _start(self, request: Any, response: Any) -> Any:
        try:
            ask = self._opening(request)
        except CommandError as error:
            response.message = str(error)
            return response
        run = await self._asked(ask, response)
        if run is not None:
            response.run_id = self._last_run = str(run.get('id', ''))
            _set_time(response.started_at, run.get('started_at'))
        return response

    def _opening(self, request: Any) -> Asked:
        if not 1 <= len(request.name) <= 200:
            raise CommandError('bad_params', f'name: saw {len(request.name)} characters, '
                               'expected 1 to 200')
        organisation = request.scope == StartRun.Request.SCOPE_ORGANISATION
        metadata = json_object(request.metadata_json, 'metadata_json')
        criteria = [_criterion(one) for one in request.pass_criteria]
        return lambda: self._runs.start(
            request.name, None if organisation else Whose.OWN,
            tags={pair.key: pair.value for pair in request.tags} or None,
            metadata=metadata or None, pass_criteria=criteria or None,
            started_at=_iso(request.started_at))

    async def _end(self, request: Any, response: Any) -> Any:
        run_id = request.run_id or self._last_run
        try:
            changes = self._changes(request, run_id)
        except CommandError as error:
            response.message = str(error)
            return response
        aborted = request.outcome == EndRun.Request.OUTCOME_ABORTED
        run = await self._asked(lambda: self._runs.end(
            run_id, 'aborted' if aborted else 'completed', _iso(request.ended_at), changes),
            response)
        if run is not None:
            if run_id == self._last_run:
                self._last_run = ''
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
            self._chores.post(lambda: answer.set_result(found))

        self._worker.submit(work)
        found = await answer
        if isinstance(found, dict):
            response.success = True
            return found
        response.message = str(found)
        response.error_code = found.code if isinstance(found, RefusedError) else ''
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
