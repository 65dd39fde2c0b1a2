# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The device socket's wire contract without I/O, clock or thread: robot side and gateway side.

A session takes the WebSocket messages that came, and the time, and gives back events for its
owner and messages to send. Whoever owns the socket owns the timers: it calls `tick` when
`deadline` has passed. Times are seconds of one monotonic clock.
"""
