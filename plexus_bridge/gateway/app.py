# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's web application: which routes there are, and how errors are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Mapping
import contextlib
import time

from fastapi import FastAPI
from fastapi import Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.responses import Response

from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.errors import TooOftenError
from plexus_bridge.gateway import device_socket
from plexus_bridge.gateway import ingest
from plexus_bridge.gateway import source_routes
from plexus_bridge.gateway.access import auth_routes
from plexus_bridge.gateway.access import key_routes
from plexus_bridge.gateway.access import page
from plexus_bridge.gateway.access import pair_routes
from plexus_bridge.gateway.api import devices_alias
from plexus_bridge.gateway.api import export
from plexus_bridge.gateway.api import fleet
from plexus_bridge.gateway.api import readings
from plexus_bridge.gateway.api.models import Health
from plexus_bridge.gateway.commands import operate
from plexus_bridge.gateway.commands import routes as command_routes
from plexus_bridge.gateway.cors import INGEST_PATHS
from plexus_bridge.gateway.cors import OpenToAllOrigins
from plexus_bridge.gateway.frames import routes as frame_routes
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.live import sockets as live_sockets
from plexus_bridge.gateway.runs import run_routes
from plexus_bridge.gateway.runs import session_routes

MIN_GZIP_BYTES = 4096
# What the app API calls its errors (section 10.7).
APP_CODES = {401: 'UNAUTHORIZED', 402: 'UPGRADE_REQUIRED', 403: 'FORBIDDEN', 404: 'NOT_FOUND',
             409: 'CONFLICT', 429: 'RATE_LIMITED', 500: 'INTERNAL_ERROR', 503: 'DATABASE_ERROR'}


def create_app(gateway: Gateway) -> FastAPI:
    """Return the ASGI application of one gateway; it starts and closes the gateway's store."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gateway.start()
        yield
        await gateway.close()

    # A redirect would lose the points of an SDK that posts to "/ingest/" (section 5.4).
    # FastAPI's own pages about the routes load their scripts from the internet.
    app = FastAPI(title='Plexus local gateway', lifespan=lifespan, redirect_slashes=False,
                  docs_url=None, redoc_url=None)
    app.state.gateway = gateway
    # Fast rather than small: a day of samples over a field radio is what it is for.
    app.add_middleware(GZipMiddleware, minimum_size=MIN_GZIP_BYTES, compresslevel=1)
    app.add_middleware(OpenToAllOrigins)
    app.include_router(ingest.router)
    app.include_router(device_socket.router)
    for routes in (readings, fleet, export, devices_alias):
        app.include_router(routes.router)
    app.include_router(live_sockets.router)
    app.include_router(auth_routes.router)
    app.include_router(key_routes.router)
    app.include_router(page.router)
    app.include_router(pair_routes.router)
    app.include_router(frame_routes.router)
    app.include_router(source_routes.router)
    app.include_router(session_routes.router)
    app.include_router(run_routes.router)
    app.include_router(command_routes.router)
    app.include_router(operate.router)
    app.add_api_route('/health', health, methods=['GET'], responses={
        200: {'model': Health}, 503: {'model': Health}})
    for error in (HTTPException, RequestValidationError, RequestError, StoreError):
        app.add_exception_handler(error, _tell)
    return app


async def health(request: Request) -> Response:
    """Tell whether points can be stored (section 12.8); 503 if not."""
    gateway = gateway_of(request)
    failure = gateway.store.failure
    body = {
        'status': 'ok' if failure is None else 'degraded', 'devices': len(gateway.devices),
        'browsers': gateway.hub.open_views,
        'uptime_s': int(time.monotonic() - gateway.started)}
    if failure is not None:
        body['error'] = failure
    return JSONResponse(body, 200 if failure is None else 503)


async def _tell(request: Request, error: Exception) -> Response:
    """Give an error the body that the route's part of the protocol has."""
    headers: Mapping[str, str] | None = None
    path = request.url.path
    if isinstance(error, HTTPException):
        status, text, headers = error.status_code, error.detail, error.headers
    elif isinstance(error, RequestValidationError):
        if not path.startswith('/api/'):
            return await request_validation_exception_handler(request, error)
        first = error.errors()[0]
        status, text = 400, f'{".".join(map(str, first["loc"]))}: {first["msg"]}'
    elif isinstance(error, RequestError):
        status, text = error.status, str(error)
        if isinstance(error, TooOftenError):
            headers = {'Retry-After': str(error.retry_after_s)}
    else:
        status, text = 503, f'storage unavailable: {error}'
    if path in INGEST_PATHS or path.startswith('/api/auth/'):  # sections 5.4 and 2.4
        body = {'error': text}
    elif path.startswith('/api/'):  # section 10.7
        body = {'error': APP_CODES.get(status, 'VALIDATION_ERROR'), 'message': text}
    else:  # section 12.1
        body = {'detail': text}
    return JSONResponse(body, status, headers)
