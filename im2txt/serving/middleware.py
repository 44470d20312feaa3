"""ASGI middleware that limits, counts and labels requests.

It limits the size of requests (whether or not they declare it), the time they
take to arrive, and the number of concurrent ones; counts requests; and adds
headers to every response. HEAD is handled as GET, without the body. Refusals
have the format of all errors of the server.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import time
from typing import Any

import fastapi
from fastapi import responses

from im2txt.serving import metrics
from im2txt.serving import schemas

# The status, in the metrics, of a request whose client disconnected.
DISCONNECTED = 499
# All that the page needs; it shows pictures as blobs.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestLimits:
  """Limits of HTTP requests.

  Attributes:
    max_body_bytes: Maximum size of a body, in bytes.
    body_secs: How long a body may take to arrive, in seconds.
    max_requests: Maximum number of concurrent requests with a body.
  """

  max_body_bytes: int = 32 * 2**20
  body_secs: float = 30.0
  max_requests: int = 256


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> responses.JSONResponse:
  """Returns an error response."""
  return responses.JSONResponse(
      schemas.Error(message=message).model_dump(), status, headers
  )


def busy() -> responses.JSONResponse:
  """Returns the response of an overloaded server, with Retry-After."""
  message = "The server is busy; try again in a moment."
  return error(503, message, {"Retry-After": "1"})


class RequestGuard:
  """ASGI middleware that limits and counts requests and adds headers."""

  def __init__(
      self,
      app: Callable,
      *,
      limits: RequestLimits,
      counts: metrics.Metrics,
      paths: Collection[str],
      is_full: Callable[[], bool],
  ):
    """Wraps an application.

    Args:
      app: The ASGI application.
      limits: The limits of requests.
      counts: The metrics in which to count requests.
      paths: The application's paths, which are counted by path; all others are
        counted together.
      is_full: Function that returns whether to refuse requests with a body
        without reading them.
    """
    self._app = app
    self._limits = limits
    self._counts = counts
    self._paths = paths
    self._is_full = is_full
    self._num_requests = 0

  async def __call__(
      self, scope: dict[str, Any], receive: Callable, send: Callable
  ) -> None:
    """Handles a request; see the ASGI specification."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    is_head = scope["method"] == "HEAD"
    if is_head:
      scope = {**scope, "method": "GET"}
    status = DISCONNECTED
    start = time.perf_counter()

    async def send_with_headers(message: dict[str, Any]) -> None:
      nonlocal status
      if message["type"] == "http.response.start":
        status = message["status"]
        message = {**message, "headers": [*message["headers"], *_HEADERS]}
      elif is_head:
        message = {**message, "body": b""}
      await send(message)

    self._counts.request_began()
    try:
      await self._answer(scope, receive, send_with_headers)
    finally:
      # A client can make up any number of paths.
      path = scope["path"] if scope["path"] in self._paths else "other"
      self._counts.request_ended(path, status, time.perf_counter() - start)

  async def _answer(
      self, scope: dict[str, Any], receive: Callable, send: Callable
  ) -> None:
    if scope["method"] != "POST":
      await self._app(scope, receive, send)
      return
    refusal = self._refusal(scope)
    if refusal:
      await refusal(scope, receive, send)
      return
    self._num_requests += 1
    try:
      await self._app(scope, self._limited(receive), send)
    finally:
      self._num_requests -= 1

  def _refusal(self, scope: dict[str, Any]) -> responses.JSONResponse | None:
    if self._num_requests >= self._limits.max_requests or self._is_full():
      return busy()
    length = dict(scope["headers"]).get(b"content-length", b"0")
    # The HTTP server has already refused a length that is not a number.
    if int(length) > self._limits.max_body_bytes:
      return error(413, self._too_large())
    return None

  def _limited(self, receive: Callable) -> Callable:
    """Returns a `receive` that limits the size and the duration of the body."""
    deadline = asyncio.get_running_loop().time() + self._limits.body_secs
    num_bytes = 0
    is_whole = False

    async def limited() -> dict[str, Any]:
      nonlocal num_bytes, is_whole
      if is_whole:  # The only message left is that the client disconnected.
        return await receive()
      try:
        async with asyncio.timeout_at(deadline):
          message = await receive()
      except TimeoutError:
        raise fastapi.HTTPException(
            408,
            f"The request took more than {self._limits.body_secs:g} seconds to"
            " arrive.",
            {"Connection": "close"},
        ) from None
      num_bytes += len(message.get("body", b""))
      if num_bytes > self._limits.max_body_bytes:
        raise fastapi.HTTPException(413, self._too_large())
      is_whole = not message.get("more_body", False)
      return message

    return limited

  def _too_large(self) -> str:
    megabytes = self._limits.max_body_bytes / 2**20
    return f"The request is too large; at most {megabytes:g} MB are allowed."
