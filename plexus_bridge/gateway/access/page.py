# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The page on which a person lets a device in, or a program of theirs (protocol 11.7)."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse

PAGE_PATH = '/device'

_PAGE = Path(__file__).parents[1] / 'static' / 'approve.html'
# The page shows what its address says, so nothing may run but what it brings itself.
_POLICY = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

router = APIRouter(include_in_schema=False)


@router.get(PAGE_PATH)
@router.get('/auth/cli')
async def show_page() -> HTMLResponse:
    """Show the page; it reads from its address what is asked for."""
    return HTMLResponse(_PAGE.read_text(encoding='utf-8'), headers={
        'Content-Security-Policy': _POLICY, 'Referrer-Policy': 'no-referrer',
        'Cache-Control': 'no-store'})
