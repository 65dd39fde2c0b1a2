# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Single pictures that agents upload (protocol section 10.8), kept as files of a bounded size."""
