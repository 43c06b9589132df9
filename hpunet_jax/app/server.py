"""The page's server: JSON requests to an `Explorer`, and errors as sentences.

Nothing that a browser sends becomes a path, and no request ends the server. Bound to this machine
alone it answers to no other name (a foreign page cannot reach it by rebinding a name of its own);
bound to others it asks for a token.
"""

import errno
import hmac
import json
import logging
import pathlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hpunet_jax.app.explorer import Explorer

LOCAL = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 8 << 20  # bytes of a request; marks of every pixel of a large image are fewer
_STATIC = pathlib.Path(__file__).with_name("static")
_COOKIE = "hpunet_token"

Answer = Callable[[Explorer, Any], dict[str, Any]]


def build_app(explorer: Explorer, host: str = "127.0.0.1", token: str | None = None) -> Starlette:
    """Builds the ASGI application.

    Args:
      explorer: answers the requests.
      host: the address that the server will be bound to.
      token: what a browser must show (as `?token=` once, then as a cookie); None asks for none.

    Returns:
      The application, for uvicorn.
    """
    allowed = list(LOCAL) if host in LOCAL else ["*"]

    def guarded(endpoint: Callable[[Request], Awaitable[Response]]):
        async def answer(request: Request) -> Response:
            if token and not _knows(request, token):
                raise HTTPException(
                    403, "Open the address that the program printed, token and all."
                )
            return await endpoint(request)

        return answer

    async def page(request: Request) -> Response:
        if token and hmac.compare_digest(request.query_params.get("token", ""), token):
            response = RedirectResponse("./")
            response.set_cookie(_COOKIE, token, httponly=True, samesite="strict")
            return response
        if token and not _knows(request, token):
            raise HTTPException(403, "Open the address that the program printed, token and all.")
        return FileResponse(_STATIC / "index.html")

    def get(path: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            values = {**request.path_params, **request.query_params}
            return await _run(explorer, answer, values)

        return Route(f"/api/{path}", guarded(endpoint), methods=["GET"])

    def post(path: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _run(explorer, answer, await _body(request))

        return Route(f"/api/{path}", guarded(endpoint), methods=["POST"])

    routes = [
        Route("/", page),
        get("info", lambda explorer, _: explorer.info()),
        get("images/{image}", Explorer.image),
        get("saved/{image}", Explorer.saved),
        *(
            post(name, getattr(Explorer, name))
            for name in (
                "hypotheses",
                "uncertainty",
                "decode",
                "reconstruct",
                "fit",
                "save",
                "load",
            )
        ),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed)],
        exception_handlers={HTTPException: _http_error, Exception: _our_error},
    )


def bound(host: str, port: int) -> tuple[socket.socket, str]:
    """Takes an address before anything is said of it.

    Args:
      host: the machine's name or address.
      port: the port; 0: any that is free.

    Returns:
      The listening socket, and the address for a browser.

    Raises:
      OSError: if it cannot be had; it names the flags.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise OSError(
            f"--port={port} is taken by another program: choose another, or 0 for any that is free."
            if taken
            else f"--host={host} with --port={port} cannot be listened at ({error.strerror}): "
            "choose an address of this machine, and a port from 1024."
        ) from error
    name = f"[{host}]" if family == socket.AF_INET6 else host
    return listening, f"http://{name}:{listening.getsockname()[1]}/"


class _Json(JSONResponse):
    """An answer in ASCII: names of files need not be UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _run(explorer: Explorer, answer: Answer, values: Any) -> Response:
    try:
        return _Json(await run_in_threadpool(answer, explorer, values))
    except (ValueError, OSError) as error:
        return _Json({"error": str(error)}, 400)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; only what says that it is JSON, which no foreign page can."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "The request must be of the type application/json.")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise HTTPException(413, f"The request is larger than {MAX_BODY >> 20} MiB.")
    try:
        value = json.loads(received.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HTTPException(400, f"The request is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "The request must be a JSON object.")
    return value


def _knows(request: Request, token: str) -> bool:
    return hmac.compare_digest(request.cookies.get(_COOKIE, ""), token)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # it is registered for these
    return _Json({"error": error.detail}, error.status_code)


async def _our_error(_: Request, error: Exception) -> Response:
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return _Json({"error": f"The program failed at this ({error}): please report it."}, 500)
