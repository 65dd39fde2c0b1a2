# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The exceptions of plexus_bridge.

::

    PlexusError
     +-- ConfigError         a map, setting or key is wrong: all problems told at start, exit 78
     |    +-- SettingError   an argument or setting of the Python API: also a ValueError
     +-- MappingError        a message cannot be read as its type says: counted, the next goes on
     +-- LinkError           the gateway is not reached for now: retried with back-off
     |    +-- NotAuthorised  the gateway refuses the key: told loudly, retried slowly
     |    |    +-- AuthenticationError  the same, told to the caller of the Python API
     |    +-- UnreachableError     a request could not be made: also an OSError
     +-- ProtocolError       one side broke the wire contract
     |    +-- LocalProtocolError   we did: a bug of ours
     |    +-- RemoteProtocolError  the peer did: counted, the connection is closed
     +-- CommandError        a command is not run; `code` is the protocol's word for why
     |    +-- CommandCancelled     it was asked to end before it was done
     |    +-- CommandParamError    its parameters do not fit: also a ValueError
     |    +-- ClockSteppedError    the operator's clock jumped: the age of his orders is unknown
     +-- CommandDeclarationError   a command cannot be declared so
     +-- JournalError        the disk store cannot be used
     |    +-- JournalInUseError    another process has it
     +-- PointError          a value cannot become a point
     +-- PictureError        an image is no picture that can be sent: also a ValueError
     +-- CameraError         a camera cannot be read
     +-- RateLimitedError    the gateway has thrown points away; told once for each burst
     +-- RefusedError        a gateway refuses our request; `status` and `code` say why
     +-- BagError            a recording cannot be read
     +-- StoreError          the gateway's database cannot be used
     +-- ServeError          the gateway cannot start
     +-- WindowError         a request for stored data names a time that cannot be read
     +-- RequestError        a request to the gateway cannot be served as it is: 4xx
     |    +-- AccessError    its key does not allow what it asks for: 401 or 403
     |    +-- TooOftenError  it was tried too often: 429
     +-- DemoError           the demo cannot go on
          +-- ChildEndedError     one of its programs ended although it should run

Texts say what was seen, what was expected, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class PlexusError(Exception):
    """Whatever goes wrong in plexus_bridge."""


@dataclass(frozen=True)
class Problem:
    """One wrong thing in a configuration file; line and column count from 1, 0 = unknown."""

    file: str
    line: int
    column: int
    where: str
    text: str

    def __str__(self) -> str:
        """Render as ``file:line:column: where: text``, the form that editors jump to."""
        place = f'{self.file}:{self.line}:{self.column}' if self.line else self.file
        return f'{place}: {self.where}: {self.text}' if self.where else f'{place}: {self.text}'


class ConfigError(PlexusError):
    """The configuration cannot be used; `problems` has every reason, in the file's order."""

    def __init__(self, problems: Sequence[Problem] | str):
        self.problems = (
            (Problem('', 0, 0, '', problems),) if isinstance(problems, str) else tuple(problems))
        super().__init__('\n'.join(
            problem.text if not problem.file else str(problem) for problem in self.problems))


class SettingError(ConfigError, ValueError):
    """An argument, environment variable or entry of config.json cannot be used."""


class MappingError(PlexusError):
    """A message's bytes do not fit its type, or a path does not fit the type."""


class LinkError(PlexusError):
    """The gateway was not reached or went away; trying again later can help."""


class NotAuthorised(LinkError):  # noqa: N818 - the condition's own name, like PermissionDenied
    """The gateway knows us and says no; trying again helps only once the key is changed."""


class AuthenticationError(NotAuthorised):
    """
    The gateway refuses the key; what was sent is kept and goes out once it is let in.

    `code` is the gateway's word for it, '' where it has none.
    """

    def __init__(self, text: str = '', code: str = ''):
        super().__init__(text)
        self.code = code


class UnreachableError(LinkError, OSError):
    """A request did not get to the gateway, or its answer not to us; it can be made again."""


class ProtocolError(PlexusError):
    """The wire contract was broken."""


class LocalProtocolError(ProtocolError):
    """We were about to break the wire contract: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the wire contract does not allow."""


class CommandError(PlexusError):
    """A command is not run or has failed; `code` is an error code of protocol section 8.4."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


class CommandCancelled(CommandError):  # noqa: N818 - a condition, like NotAuthorised
    """A command ends because it was asked to; what runs a command raises it."""

    def __init__(self, text: str = 'cancelled'):
        super().__init__('cancelled', text)


class CommandParamError(CommandError, ValueError):
    """A command's parameters do not fit; what runs a command may raise it, too."""

    def __init__(self, text: str):
        super().__init__('bad_params', text)


class ClockSteppedError(CommandError):
    """An operator's clock jumped: how old his orders are cannot be told any more."""

    def __init__(self, text: str):
        super().__init__('handler_error', text)


class CommandDeclarationError(PlexusError, ValueError):
    """A command cannot be declared as it is (protocol section 8.1); the text says why."""


class JournalError(PlexusError):
    """The disk store cannot be opened, read or written."""


class JournalInUseError(JournalError):
    """Another process, or another object of this one, has the disk store."""


class PointError(PlexusError):
    """A value, name, stamp or tag cannot become a point (protocol sections 4.1 to 4.3)."""


class PictureError(PlexusError, ValueError):
    """What is no picture that can be sent; the text says what was seen and expected."""


class CameraError(PlexusError):
    """A camera's stream cannot be read, because the program for it is missing."""


class RateLimitedError(PlexusError):
    """
    The gateway has thrown earlier points away, for their rate or for the plan's limits.

    Those are lost, what was just sent is not: fewer, larger messages help, which
    `Plexus.batch()` makes.
    """


class RefusedError(PlexusError):
    """The gateway answered our request with an error: HTTP `status`, its word `code` or ''."""

    def __init__(self, text: str, status: int, code: str):
        super().__init__(text)
        self.status = status
        self.code = code


class BagError(PlexusError):
    """A recording is missing, damaged or of a kind that cannot be read."""


class StoreError(PlexusError):
    """The gateway's database cannot be opened, read or written."""


class ServeError(PlexusError):
    """The gateway cannot start; the text says why and what to do."""


class WindowError(PlexusError):
    """A window or interval cannot be read; the text says what was seen and expected."""


class RequestError(PlexusError):
    """A request to the gateway is wrong; `status` is that of the answer, 4xx."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class AccessError(RequestError):
    """A key is missing or not accepted (`status` 401) or does not allow this (403)."""


class TooOftenError(RequestError):
    """Something that can be guessed was tried too often; `retry_after_s` says when it may be."""

    def __init__(self, retry_after_s: int):
        super().__init__(429, f'too many tries; try again in {retry_after_s} s')
        self.retry_after_s = retry_after_s


class DemoError(PlexusError):
    """The demo cannot go on; the text says why and what to do."""


class ChildEndedError(DemoError):
    """A child process ended although it should run; the text has its last lines."""
