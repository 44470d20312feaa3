"""The server's HTTP application: its routes, responses and errors.

| request | response |
| --- | --- |
| `POST /model/predict` | captions of one image, in IBM's format |
| `POST /v1/captions` | captions of several images, with word probabilities |
| `GET /model/metadata` | a description of the model, and the server's limits |
| `GET /healthz` | 200 while the process runs |
| `GET /readyz` | 200 if the server accepts images now, else 503 |
| `GET /metrics` | metrics for Prometheus |
| `GET /openapi.json` | the OpenAPI description of these routes |
| `GET /` | the web page |

The body of every error is `{"status": "error", "message": "A sentence."}`.
"""

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import functools
import pathlib
from typing import Annotated
from typing import Any
from typing import TypeVar

import fastapi
from fastapi import exceptions
from fastapi import responses
from starlette import exceptions as starlette_exceptions

from im2txt import captioning
from im2txt.serving import batcher
from im2txt.serving import caption_service
from im2txt.serving import metrics
from im2txt.serving import middleware
from im2txt.serving import schemas

_FOLDER = pathlib.Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# The browser revalidates its copy every time, so that it shows new releases.
_HEADERS = {"Cache-Control": "no-cache"}


# The larger these are, the longer a search takes and delays other requests.
_MAX_BEAM_SIZE = 20
_MAX_CAPTION_LENGTH = 50
_MAX_LENGTH_NORMALIZATION_FACTOR = 2.0

_Value = TypeVar("_Value")

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Error, "description": description}
    for status, description in (
        (400, "The request or the image is invalid"),
        (408, "The request took too long to arrive"),
        (413, "The request is too large"),
        (503, "The server is busy or stopping; Retry-After says when to retry"),
        (504, "The captions took too long"),
    )
}


def _add_page(app: fastapi.FastAPI) -> None:
  """Adds routes for the web page, at `/`, and for the files that it loads."""
  for path in sorted(_FOLDER.iterdir()):
    name = "" if path.name == "index.html" else path.name
    _add_file(app, f"/{name}", path)


def _add_file(app: fastapi.FastAPI, route: str, path: pathlib.Path) -> None:
  content = path.read_bytes()
  media_type = _TYPES[path.suffix]

  @app.get(route, include_in_schema=False)
  async def file() -> fastapi.Response:
    return fastapi.Response(content, media_type=media_type, headers=_HEADERS)


def make(
    captioner: captioning.Captioner,
    limits: caption_service.Limits,
    request_limits: middleware.RequestLimits,
) -> Callable:
  """Builds the application.

  Args:
    captioner: The captioner.
    limits: Limits of images and batches.
    request_limits: Limits of HTTP requests.

  Returns:
    An ASGI application. It warms up the model when its lifespan starts, and
    stops its thread when the lifespan ends.
  """
  counts = metrics.Metrics()
  service = caption_service.CaptionService(
      captioner, limits, on_batch=counts.batch_done
  )
  counts.watch_waiting(lambda: service.num_waiting)

  @contextlib.asynccontextmanager
  async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
    del app
    try:
      await asyncio.to_thread(service.warm_up)
      yield
    finally:
      await asyncio.to_thread(service.close)

  app = fastapi.FastAPI(
      title="im2txt",
      description="Captions of images.",
      # FastAPI's documentation pages load scripts from other sites.
      docs_url=None,
      redoc_url=None,
      lifespan=lifespan,
  )
  _add_error_handlers(app)
  _add_captions(app, service, counts)
  _add_about(app, service, counts, request_limits)
  _add_page(app)
  return middleware.RequestGuard(
      app,
      limits=request_limits,
      counts=counts,
      paths={getattr(route, "path", "") for route in app.routes},
      is_full=lambda: service.is_full,
  )


def _add_captions(
    app: fastapi.FastAPI,
    service: caption_service.CaptionService,
    counts: metrics.Metrics,
) -> None:
  caption = functools.partial(_caption_uploads, service, counts)

  @app.post("/model/predict", responses=_ERRORS)
  async def predict(
      request: fastapi.Request, image: fastapi.UploadFile
  ) -> schemas.Predictions:
    """Captions a JPEG, PNG, WebP, GIF or BMP image."""
    (outcome,) = await caption(
        request, [image], caption_service.RequestOptions()
    )
    if isinstance(outcome, captioning.ImageError):
      raise fastapi.HTTPException(400, f"The image can't be used. {outcome}")
    return schemas.predictions_of(outcome)

  @app.post("/v1/captions", responses=_ERRORS)
  async def captions(
      request: fastapi.Request,
      images: list[fastapi.UploadFile],
      beam_size: Annotated[int, fastapi.Form(ge=1, le=_MAX_BEAM_SIZE)] = 3,
      max_caption_length: Annotated[
          int, fastapi.Form(ge=1, le=_MAX_CAPTION_LENGTH)
      ] = 20,
      length_normalization_factor: Annotated[
          float, fastapi.Form(ge=0, le=_MAX_LENGTH_NORMALIZATION_FACTOR)
      ] = 0.0,
      num_captions: Annotated[int | None, fastapi.Form(ge=1)] = None,
  ) -> schemas.Captions:
    """Captions images; an invalid image has an error in place of captions."""
    if len(images) > service.limits.max_images:
      raise fastapi.HTTPException(
          400,
          f"A request can have at most {service.limits.max_images} images. Got:"
          f" {len(images)}.",
      )
    options = caption_service.RequestOptions(
        beam_size,
        max_caption_length,
        # The first request with a new combination takes seconds longer, so
        # the number of combinations is kept small.
        round(length_normalization_factor, 1),
    )
    return schemas.Captions(
        images=[
            schemas.ImageAnswer(error=str(outcome))
            if isinstance(outcome, captioning.ImageError)
            else schemas.ImageAnswer(
                captions=[schemas.caption_of(c) for c in outcome[:num_captions]]
            )
            for outcome in await caption(request, images, options)
        ]
    )


async def _caption_uploads(
    service: caption_service.CaptionService,
    counts: metrics.Metrics,
    request: fastapi.Request,
    uploads: Sequence[fastapi.UploadFile],
    options: caption_service.RequestOptions,
) -> list[caption_service.Outcome]:
  """Captions the images of a request, and counts the outcomes."""
  with service.room(sum(upload.size or 0 for upload in uploads)):
    images = [await upload.read() for upload in uploads]
    outcomes = await _until_disconnect(
        request, service.caption(images, options)
    )
  failed = [isinstance(outcome, captioning.ImageError) for outcome in outcomes]
  counts.images_answered(
      captioned=failed.count(False), refused=failed.count(True)
  )
  return outcomes


def _add_about(
    app: fastapi.FastAPI,
    service: caption_service.CaptionService,
    counts: metrics.Metrics,
    request_limits: middleware.RequestLimits,
) -> None:
  @app.get("/model/metadata")
  async def metadata() -> schemas.Metadata:
    """Describes the model and the server's limits."""
    return schemas.Metadata(
        vocab_size=service.vocab_size,
        max_images=service.limits.max_images,
        max_body_bytes=request_limits.max_body_bytes,
        max_image_pixels=service.limits.max_pixels,
        max_request_pixels=service.limits.max_request_pixels,
        max_beam_size=_MAX_BEAM_SIZE,
        max_caption_length=_MAX_CAPTION_LENGTH,
    )

  @app.get("/healthz")
  async def health() -> schemas.Health:
    """Returns 200 while the process runs."""
    return schemas.Health()

  @app.get("/readyz", responses={503: _ERRORS[503]})
  async def readiness() -> fastapi.Response:
    """Returns 200 if the server accepts images now, else 503."""
    if service.is_full or not service.is_working:
      return middleware.busy()
    return responses.JSONResponse(schemas.Health().model_dump())

  @app.get("/metrics", response_class=responses.PlainTextResponse)
  async def prometheus_metrics() -> fastapi.Response:
    """Returns the metrics in Prometheus' text format."""
    return fastapi.Response(
        counts.page(), headers={"Content-Type": counts.content_type}
    )


# Messages by status, instead of Starlette's own, which are not sentences.
_STATUS_MESSAGES = {
    404: "Not found: the server has no such path.",
    405: "This path does not support the request's HTTP method.",
}

# Messages by field, instead of those of the validation, which mention Python's
# types.
_FILE_MESSAGES = {
    "image": "Send the picture as a file in the multipart field 'image'.",
    "images": "Send the pictures as files in the multipart field 'images'.",
}


def _add_error_handlers(app: fastapi.FastAPI) -> None:
  # Starlette's class, which its router raises, is the base of FastAPI's.
  @app.exception_handler(starlette_exceptions.HTTPException)
  async def refused(request, error):
    del request
    message = _STATUS_MESSAGES.get(error.status_code, error.detail)
    return middleware.error(error.status_code, message, error.headers)

  @app.exception_handler(exceptions.RequestValidationError)
  async def invalid(request, error):
    del request
    first = error.errors()[0]
    names = [str(part) for part in first["loc"][1:]]
    message = f"{'.'.join(names)}: {first['msg']}."
    return middleware.error(
        400, _FILE_MESSAGES.get("".join(names[:1]), message)
    )

  @app.exception_handler(caption_service.TooManyPixelsError)
  async def too_large(request, error):
    del request
    return middleware.error(413, str(error))

  @app.exception_handler(batcher.FullError)
  @app.exception_handler(batcher.ClosedError)
  async def full(request, error):
    del request, error
    return middleware.busy()

  @app.exception_handler(TimeoutError)
  async def late(request, error):
    del request, error
    return middleware.error(
        504, "Timed out waiting for the captions; try again later."
    )

  @app.exception_handler(Exception)
  async def failed(request, error):
    del request, error
    return middleware.error(
        500, "Internal error; the server's log has the details."
    )


async def _until_disconnect(
    request: fastapi.Request, work: Awaitable[_Value]
) -> _Value:
  """Returns the result of `work`, which is cancelled on disconnection."""

  async def disconnect() -> None:
    while (await request.receive())["type"] != "http.disconnect":
      pass

  working = asyncio.ensure_future(work)
  disconnecting = asyncio.ensure_future(disconnect())
  try:
    await asyncio.wait(
        {working, disconnecting}, return_when=asyncio.FIRST_COMPLETED
    )
    if not working.done():
      raise fastapi.HTTPException(
          middleware.DISCONNECTED, "The client has disconnected."
      )
    return working.result()
  finally:
    working.cancel()
    disconnecting.cancel()
