# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How our programs end, where they do not end with 0; 2 is argparse's, for wrong usage."""

EXIT_FAILURE = 1
# sysexits.h calls it EX_CONFIG: starting again helps only once somebody has changed something.
EXIT_CONFIGURATION = 78
# What shells give for Ctrl+C.
EXIT_INTERRUPTED = 130
# Whoever read the output has gone, as `| head` does: 128 + SIGPIPE.
EXIT_OUTPUT_CLOSED = 141
