# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whom to trust on encrypted connections: what the environment names, else the usual ones."""

from __future__ import annotations

import os

# The variables of requests, curl and OpenSSL; the first that is set counts, on every connection.
CA_VARIABLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'SSL_CERT_FILE')


def ca_bundle() -> str | None:
    """Return the file of certificates that the environment names, None if it names none."""
    for name in CA_VARIABLES:
        if os.environ.get(name):
            return os.environ[name]
    return None
