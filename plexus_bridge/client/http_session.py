# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What all our requests to a gateway have in common: whom they trust, and how much they read."""

from __future__ import annotations

import requests

from plexus_bridge.client.tls import ca_bundle
from plexus_bridge.config.gateway_url import is_loopback


def open_session(url: str) -> requests.Session:
    """
    Return a session that takes nothing from the environment but what is meant for `url`.

    A ~/.netrc would put another authorisation beside our key; and the key for a gateway on this
    machine is no proxy's business.
    """
    session = requests.Session()
    session.trust_env = False
    if not is_loopback(url):
        session.proxies.update(requests.utils.get_environ_proxies(url))
    session.verify = ca_bundle() or True
    return session


def read_content(response: requests.Response, most_bytes: int) -> bytes:
    """
    Return the body of a response that was asked for with `stream`.

    What is longer is cut, and read no further: nobody fills a robot's memory with an answer.
    """
    content = b''
    for part in response.iter_content(65536):
        content += part
        if len(content) >= most_bytes:
            break
    return content[:most_bytes]
