# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the platform's documents show for sending without an SDK, verbatim but for host and key."""

from __future__ import annotations

import os
from pathlib import Path
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

JAVASCRIPT = '''
await fetch("https://app.plexus.company/api/ingest", {
  method: "POST",
  headers: {
    "x-api-key": "plx_xxxxx",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    points: [
      {
        metric: "temperature",
        value: 72.5,
        timestamp: Date.now() / 1000,
        source_id: "sensor-001",
      },
    ],
  }),
});
'''

GO = '''
package main

import (
    "bytes"
    "encoding/json"
    "net/http"
    "time"
)

func main() {
    points := map[string]interface{}{
        "points": []map[string]interface{}{{
            "metric":    "temperature",
            "value":     72.5,
            "timestamp": float64(time.Now().Unix()),
            "source_id": "sensor-001",
        }},
    }

    body, _ := json.Marshal(points)
    req, _ := http.NewRequest("POST", "https://app.plexus.company/api/ingest", bytes.NewBuffer(body))
    req.Header.Set("x-api-key", "plx_xxxxx")
    req.Header.Set("Content-Type", "application/json")

    http.DefaultClient.Do(req)
}
'''  # noqa: E501 - verbatim

needs_curl = pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')


def run(client: Any, program: list[str], recipe: str) -> str:
    """Run a recipe with its host and key exchanged and return what it printed."""
    return subprocess.run(
        [*program, addressed(client, recipe)], capture_output=True, text=True, timeout=30,
        check=True, env=without_proxy()).stdout


def addressed(client: Any, recipe: str) -> str:
    """Return a recipe with its host and key exchanged."""
    text = recipe.replace('https://app.plexus.company', client.url)
    for placeholder in ('plx_xxxxx', 'YOUR_API_KEY'):
        text = text.replace(placeholder, client.key)
    assert text.count(client.url) == text.count(client.key) == 1
    return text


def without_proxy() -> dict[str, str]:
    return {name: value for name, value in os.environ.items()
            if not name.lower().endswith('_proxy')}


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


def node_has_fetch() -> bool:
    """Tell whether there is a node, and one that is not older than fetch (18)."""
    node = shutil.which('node')
    return node is not None and subprocess.run(
        [node, '-e', 'process.exit(typeof fetch === "function" ? 0 : 1)'],
        check=False).returncode == 0


@pytest.mark.skipif(not node_has_fetch(), reason='node 18 or newer is not installed')
def test_javascript(client: Any):
    before = time.time()
    run(client, ['node', '--input-type=module', '-e'], JAVASCRIPT)
    [(stamp, value)] = client.samples('sensor-001', 'temperature')
    assert before - 0.001 <= stamp / 1000 <= time.time()
    assert value == 72.5


@pytest.mark.skipif(
    shutil.which('go') is None or 'PLEXUS_TEST_GO' not in os.environ,
    reason='go takes long to compile its HTTP client: PLEXUS_TEST_GO=1 has it do so')
def test_go(client: Any, tmp_path: Path):
    (tmp_path / 'main.go').write_text(addressed(client, GO))
    before = int(time.time())
    subprocess.run(['go', 'run', str(tmp_path / 'main.go')], check=True, timeout=300,
                   env=without_proxy())
    [(stamp, value)] = client.samples('sensor-001', 'temperature')
    assert before <= stamp / 1000 <= time.time()
    assert value == 72.5


def test_esp32(client: Any):
    """What the Arduino recipe builds: a float with two decimals, and seconds since its start."""
    payload = ('{"points":[{' '"metric":"temperature",' '"value":72.50,' '"timestamp":12.35,'
               '"source_id":"esp32-001"' '}]}')
    answer = client.post('/api/ingest', payload.encode(), **{'Content-Type': 'application/json'})
    assert answer.json() == {
        'success': True, 'count': 1, 'dropped': 0, 'source_id': 'esp32-001'}
    # Seconds since the board's start are a day of January 1970: the recipe's own mistake.
    assert client.samples('esp32-001', 'temperature') == [(12_350, 72.5)]
