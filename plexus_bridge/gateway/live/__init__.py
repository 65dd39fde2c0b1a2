# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The live streams (protocol section 13): what devices send goes to whoever looks at them now.

Points are shown after they have been committed, never before: what a viewer has seen is what a
query finds, and a crash takes nothing back. That costs the few milliseconds of a commit. Video is
stored nowhere and relayed at once.
"""
