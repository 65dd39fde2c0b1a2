# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The robot's connection to a gateway: device socket, HTTP ingest, the thread of both."""
