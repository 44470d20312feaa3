"""Serves the page's files: few and small, so they are kept in memory."""

import pathlib

import fastapi

_FOLDER = pathlib.Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# A browser asks each time whether its copy is still good: a new release shows.
_HEADERS = {"Cache-Control": "no-cache"}


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
