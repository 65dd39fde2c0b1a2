# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is started: compositions of the other packages, nothing else."""
