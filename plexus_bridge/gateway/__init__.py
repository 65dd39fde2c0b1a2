# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The local gateway: the server side of the protocol for one machine, without account or network.

One process, one SQLite database. HTTP ingest and the device socket hand points to the writer
thread (`writer`), which commits what all connections have brought in one transaction and only
then lets them be acknowledged; the data API reads on connections and threads of its own.
"""
