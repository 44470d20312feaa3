"""ASGI middleware that limits, counts and labels requests.

It limits the duration and the size of requests (whether or not they declare a
size) and the number of concurrent ones, counts them, and adds headers to every
answer. HEAD is answered as GET, without the body. Rejections have the form of
all errors of the server.
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

# Of a request that its client broke off; nobody sees such an answer.
BROKEN_OFF = 499
# The page needs no more than these; what it shows of a picture is a blob.
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
  """Limits of requests as such.

  Attributes:
    max_body_bytes: The longest body.
    body_secs: How long a body may take to arrive.
    max_requests: The most requests with a body at a time.
  """

  max_body_bytes: int = 32 * 2**20
  body_secs: float = 30.0
  max_requests: int = 256


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> responses.JSONResponse:
  """Returns an answer that says what went wrong."""
  return responses.JSONResponse(
      schemas.Error(message=message).model_dump(), status, headers
  )


def busy() -> responses.JSONResponse:
  """Returns the answer of an overloaded server, with Retry-After."""
  message = "The server is busy; try again in a moment."
  return error(503, message, {"Retry-After": "1"})


class RequestGuard:
  """The middleware."""

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
      app: An ASGI application.
      limits: The limits.
      counts: Where to count requests.
      paths: The application's paths, to be counted apart.
      is_full: Whether requests with a body need not even be read.
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
    """Handles a request; see ASGI's specification."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    is_head = scope["method"] == "HEAD"
    if is_head:
      scope = {**scope, "method": "GET"}
    status = BROKEN_OFF
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
    # What is no number the server below us has refused.
    if int(length) > self._limits.max_body_bytes:
      return error(413, self._too_large())
    return None

  def _limited(self, receive: Callable) -> Callable:
    """Receives a body, unless it is too long or takes too long."""
    deadline = asyncio.get_running_loop().time() + self._limits.body_secs
    num_bytes = 0
    is_whole = False

    async def limited() -> dict[str, Any]:
      nonlocal num_bytes, is_whole
      if is_whole:  # What is still received is that the client has left.
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
