# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Brings what the rest of the program logs to the node's logger, and so to /rosout."""

from __future__ import annotations

import logging

from rclpy.node import Node

_PACKAGE = 'plexus_bridge'


class RosLogHandler(logging.Handler):
    """Passes records on by severity. rclpy keys loggers by call site, so each has one here."""

    def __init__(self, node: Node):
        super().__init__()
        self._log = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._log.error(text)
        elif record.levelno >= logging.WARNING:
            self._log.warning(text)
        elif record.levelno >= logging.INFO:
            self._log.info(text)
        else:
            self._log.debug(text)


def log_to_ros(node: Node) -> RosLogHandler:
    """Send all that plexus_bridge logs to a node's logger; undo with `stop_logging_to_ros`."""
    handler = RosLogHandler(node)
    logger = logging.getLogger(_PACKAGE)
    logger.addHandler(handler)
    # The node's own level decides what is shown.
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return handler


def stop_logging_to_ros(handler: RosLogHandler) -> None:
    """Undo `log_to_ros`."""
    logger = logging.getLogger(_PACKAGE)
    logger.removeHandler(handler)
    logger.propagate = True
