# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The address of a gateway (protocol section 2.1): what can be one, and whether it is here."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from plexus_bridge.errors import ConfigError

# Where `plexus-bridge gateway` serves.
LOCAL_GATEWAY_URL = 'http://127.0.0.1:8787'
EXPECTED = 'expected an address such as https://gateway.example.com or http://127.0.0.1:8787'


def check_gateway_url(url: str) -> str:
    """Return the address if scheme, host and port are right; ConfigError says what is wrong."""
    try:
        parts = urlsplit(url)
        wrong = _wrong(url, parts)
    except ValueError as error:  # what urllib says of brackets and ports
        wrong = str(error)
    if wrong:
        raise ConfigError(f'gateway url: saw {url!r}: {wrong}; {EXPECTED}')
    return url


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine itself."""
    host = urlsplit(url).hostname or ''
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _wrong(url: str, parts: SplitResult) -> str:
    """Return what is wrong with an address, nothing if all is right; ValueError also says so."""
    if not url.isprintable() or ' ' in url:
        return 'it has a blank or a control character in it'
    if parts.scheme not in ('http', 'https') or not url[len(parts.scheme):].startswith('://'):
        return 'it does not begin with http:// or https://'
    host = parts.hostname
    if not host:
        return 'it names no host'
    if parts.port == 0:
        return 'nobody can listen on port 0'
    if '@' in parts.netloc:
        return 'it holds a user name, but the API key is all that is needed'
    if parts.query or parts.fragment:
        return 'it has a query or fragment, which is of no use here'
    if '[' in parts.netloc:
        ipaddress.IPv6Address(host)
    else:
        host.encode('idna')
    return ''
