"""The server's HTTP application: what is asked for, and how it is answered.

| request | answer |
| --- | --- |
| `POST /model/predict` | captions of one image, as IBM's service gives them |
| `POST /v1/captions` | captions of several images, word by word |
| `GET /model/metadata` | what the server is, and its limits |
| `GET /healthz`, `GET /readyz` | whether it runs; whether it can take more |
| `GET /metrics` | figures for Prometheus |
| `GET /openapi.json` | the description of all that |
| `GET /` | the page |

Every error is `{"status": "error", "message": "A sentence."}`.
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
# A browser asks each time whether its copy is still good: a new release shows.
_HEADERS = {"Cache-Control": "no-cache"}


# The larger, the longer a search takes, and holds up the others.
_MAX_BEAM_SIZE = 20
_MAX_CAPTION_LENGTH = 50
_MAX_LENGTH_NORMALIZATION_FACTOR = 2.0

_Value = TypeVar("_Value")

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Error, "description": description}
    for status, description in (
        (400, "The request or the image is at fault"),
        (408, "The request took too long to arrive"),
        (413, "The request is too large"),
        (503, "The server is busy or stopping; Retry-After says when to retry"),
        (504, "It took too long"),
    )
}


def add(app: fastapi.FastAPI) -> None:
  """Adds the page at `/` and its files beside it."""
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
  """Makes the application.

  Args:
    captioner: What captions.
    limits: Of what is captioned.
    request_limits: Of requests as such.

  Returns:
    An ASGI application. What it starts at the beginning of its lifespan, after
    which it answers without delay, it ends with it.
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
      # Their pages load scripts from elsewhere.
      docs_url=None,
      redoc_url=None,
      lifespan=lifespan,
  )
  _add_error_handlers(app)
  _add_captions(app, service, counts)
  _add_about(app, service, counts, request_limits)
  add(app)
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
    (found,) = await caption(request, [image], caption_service.Options())
    if isinstance(found, captioning.ImageError):
      raise fastapi.HTTPException(400, f"The image can't be used. {found}")
    return schemas.predictions_of(found)

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
    """Captions images; an image at fault has an error instead."""
    if len(images) > service.limits.max_images:
      raise fastapi.HTTPException(
          400,
          f"At most {service.limits.max_images} images may come at once. Got:"
          f" {len(images)}.",
      )
    options = caption_service.Options(
        beam_size,
        max_caption_length,
        # Each new combination takes seconds to prepare, so that there are few.
        round(length_normalization_factor, 1),
    )
    return schemas.Captions(
        images=[
            schemas.ImageAnswer(error=str(found))
            if isinstance(found, captioning.ImageError)
            else schemas.ImageAnswer(
                captions=[schemas.caption_of(c) for c in found[:num_captions]]
            )
            for found in await caption(request, images, options)
        ]
    )


async def _caption_uploads(
    service: caption_service.CaptionService,
    counts: metrics.Metrics,
    request: fastapi.Request,
    uploads: Sequence[fastapi.UploadFile],
    options: caption_service.Options,
) -> list[caption_service.Outcome]:
  """Captions what came with a request, and counts what came of it."""
  with service.room(sum(upload.size or 0 for upload in uploads)):
    images = [await upload.read() for upload in uploads]
    found = await _unless_left(request, service.caption(images, options))
  failed = [isinstance(each, captioning.ImageError) for each in found]
  counts.images_answered(
      captioned=failed.count(False), refused=failed.count(True)
  )
  return found


def _add_about(
    app: fastapi.FastAPI,
    service: caption_service.CaptionService,
    counts: metrics.Metrics,
    request_limits: middleware.RequestLimits,
) -> None:
  @app.get("/model/metadata")
  async def metadata() -> schemas.Metadata:
    """What the server is, and what it takes."""
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
    """Says that the server runs."""
    return schemas.Health()

  @app.get("/readyz", responses={503: _ERRORS[503]})
  async def readiness() -> fastapi.Response:
    """Says whether the server can take more requests now."""
    if service.is_full or not service.is_working:
      return middleware.busy()
    return responses.JSONResponse(schemas.Health().model_dump())

  @app.get("/metrics", response_class=responses.PlainTextResponse)
  async def figures() -> fastapi.Response:
    """Figures in Prometheus' text format."""
    return fastapi.Response(
        counts.page(), headers={"Content-Type": counts.content_type}
    )


# In place of the two that Starlette gives as no sentence.
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address is to be asked by another method.",
}

# In place of those that are about Python's types, by the field.
_NO_FILES = {
    "image": "Send the picture as a file in the multipart field 'image'.",
    "images": "Send the pictures as files in the multipart field 'images'.",
}


def _add_error_handlers(app: fastapi.FastAPI) -> None:
  # Starlette's own class, as its router raises it: fastapi's comes of it.
  @app.exception_handler(starlette_exceptions.HTTPException)
  async def refused(request, error):
    del request
    message = _SENTENCES.get(error.status_code, error.detail)
    return middleware.error(error.status_code, message, error.headers)

  @app.exception_handler(exceptions.RequestValidationError)
  async def invalid(request, error):
    del request
    first = error.errors()[0]
    names = [str(part) for part in first["loc"][1:]]
    message = f"{'.'.join(names)}: {first['msg']}."
    return middleware.error(400, _NO_FILES.get("".join(names[:1]), message))

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
    return middleware.error(504, "It took too long; try again later.")

  @app.exception_handler(Exception)
  async def failed(request, error):
    del request, error
    return middleware.error(500, "The server failed; its log says why.")


async def _unless_left(
    request: fastapi.Request, work: Awaitable[_Value]
) -> _Value:
  """Waits for a value; what makes it is cancelled if the client leaves."""

  async def leave() -> None:
    while (await request.receive())["type"] != "http.disconnect":
      pass

  working = asyncio.ensure_future(work)
  leaving = asyncio.ensure_future(leave())
  try:
    await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
      raise fastapi.HTTPException(middleware.BROKEN_OFF, "The client has left.")
    return working.result()
  finally:
    working.cancel()
    leaving.cancel()
