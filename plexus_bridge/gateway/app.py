# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's web application: which routes there are, and how errors are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
import contextlib
import time

from fastapi import FastAPI
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.responses import Response

from plexus_bridge.gateway import device_socket
from plexus_bridge.gateway import ingest
from plexus_bridge.gateway.api import data_api
from plexus_bridge.gateway.cors import INGEST_PATHS
from plexus_bridge.gateway.cors import OpenToAllOrigins
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.live import sockets as live_sockets


def create_app(gateway: Gateway) -> FastAPI:
    """Return the ASGI application of one gateway; it starts and closes the gateway's store."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gateway.start()
        yield
        await gateway.close()

    # A redirect would lose the points of an SDK that posts to "/ingest/" (section 5.4).
    app = FastAPI(title='Plexus local gateway', lifespan=lifespan, redirect_slashes=False)
    app.state.gateway = gateway
    app.add_middleware(OpenToAllOrigins)
    app.include_router(ingest.router)
    app.include_router(device_socket.router)
    app.include_router(data_api.router)
    app.include_router(live_sockets.router)
    app.add_api_route('/health', health, methods=['GET'])
    app.add_exception_handler(HTTPException, _tell)
    return app


async def health(request: Request) -> Response:
    """Tell whether points can be stored (section 12.8); 503 if not."""
    gateway = gateway_of(request)
    failure = gateway.store.failure
    body = {'status': 'ok' if failure is None else 'degraded', 'devices': len(gateway.devices),
            'uptime_s': int(time.monotonic() - gateway.started)}
    if failure is not None:
        body['error'] = failure
    return JSONResponse(body, 200 if failure is None else 503)


async def _tell(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The data API says "detail", ingest says "error" (sections 5.4 and 12.1).
    name = 'error' if request.url.path in INGEST_PATHS else 'detail'
    return JSONResponse({name: error.detail}, error.status_code, error.headers)
