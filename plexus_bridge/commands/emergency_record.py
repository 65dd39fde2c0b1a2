# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""An emergency stop on disk: a bridge that is started anew does not release it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class EmergencyRecord:
    """
    Who stopped the robot (`latched`) and which button is down (`pressed`); '' for nobody, none.

    Without a path nothing is kept. One thread at a time may call.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self._told = False
        self._known = ('', '')

    def load(self) -> tuple[str, str]:
        """Return `latched` and `pressed`; what cannot be read counts as a stop."""
        if self._path is not None:
            self._known = _read(self._path)
        return self._known

    def save(self, latched: str, pressed: str) -> None:
        """Write it down if it is news; a disk that fails is told once and stops nothing."""
        if self._path is None or (latched, pressed) == self._known:
            return
        try:
            if latched or pressed:
                _write(self._path, {'latched': latched, 'pressed': pressed})
            else:
                self._path.unlink(missing_ok=True)
            _make_durable(self._path.parent)
        except OSError as error:
            if not self._told:
                self._told = True
                log.error('%s: cannot be written: %s; an emergency stop holds until the bridge '
                          'ends, and may not hold afterwards', self._path, error)
        else:
            self._known = latched, pressed
            self._told = False


def _read(path: Path) -> tuple[str, str]:
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        return str(record['latched']), str(record['pressed'])
    except FileNotFoundError:
        return '', ''
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.error('%s: saw what cannot be read (%s), expected the record of an emergency stop; '
                  'the robot is taken to be stopped', path, error)
        return f'{path.name}, which cannot be read', ''


def _write(path: Path, record: dict[str, str]) -> None:
    part = path.with_name(f'{path.name}.part')
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
