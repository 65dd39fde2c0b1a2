# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands of the map do on the graph: services, actions, parameters, topics, lifecycle."""
