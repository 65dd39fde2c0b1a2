# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the platform's documents show for sending without an SDK, verbatim but for host and key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest

CURL = r'''
curl -X POST https://app.plexus.company/api/ingest \
  -H "x-api-key: YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "points": [{
      "metric": "temperature",
      "value": 72.5,
      "timestamp": 1699900000,
      "source_id": "sensor-001"
    }]
  }'
'''

PYTHON = '''
import requests
import time

requests.post(
    "https://app.plexus.company/api/ingest",
    headers={"x-api-key": "plx_xxxxx"},
    json={
        "points": [{
            "metric": "temperature",
            "value": 72.5,
            "timestamp": time.time(),
            "source_id": "sensor-001"
        }]
    }
)
'''

BASH = r'''
API_KEY="plx_xxxxx"
SOURCE_ID="sensor-001"
curl -X POST https://app.plexus.company/api/ingest \
  -H "x-api-key: $API_KEY" \
  -H "Content-Type: application/json" \
  -d "{
    \"points\": [{
      \"metric\": \"temperature\",
      \"value\": 72.5,
      \"timestamp\": $(date +%s),
      \"source_id\": \"$SOURCE_ID\"
    }]
  }"
'''

needs_curl = pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')


def run(client: Any, program: list[str], recipe: str) -> str:
    """Run a recipe with its host and key exchanged and return what it printed."""
    text = recipe.replace('https://app.plexus.company', client.url)
    for placeholder in ('plx_xxxxx', 'YOUR_API_KEY'):
        text = text.replace(placeholder, client.key)
    assert text.count(client.url) == text.count(client.key) == 1
    environment = {name: value for name, value in os.environ.items()
                   if not name.lower().endswith('_proxy')}
    return subprocess.run(
        [*program, text], capture_output=True, text=True, timeout=30, check=True,
        env=environment).stdout


@needs_curl
def test_curl(client: Any):
    printed = run(client, ['sh', '-c'], CURL)
    assert printed == '{"success":true,"count":1,"dropped":0,"source_id":"sensor-001"}'
    assert client.samples('sensor-001', 'temperature') == [(1_699_900_000_000, 72.5)]


@needs_curl
@pytest.mark.skipif(shutil.which('bash') is None, reason='bash is not installed')
def test_bash(client: Any):
    before = int(time.time())
    printed = run(client, ['bash', '-c'], BASH)
    assert '"success":true' in printed
    [(stamp, value)] = client.samples('sensor-001', 'temperature')
    assert before <= stamp / 1000 <= time.time()
    assert value == 72.5


def test_python(client: Any):
    before = time.time()
    run(client, [sys.executable, '-c'], PYTHON)
    [(stamp, value)] = client.samples('sensor-001', 'temperature')
    assert before - 0.001 <= stamp / 1000 <= time.time()
    assert value == 72.5
