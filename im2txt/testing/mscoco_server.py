"""A server of zip files like MSCOCO's, with a few tiny images."""

import http.server
import io
import json
import zipfile

from PIL import Image

TRAIN = "/zips/train2014.zip"
VAL = "/zips/val2014.zip"
ANNOTATIONS = "/annotations/annotations_trainval2014.zip"


def zipped(files: dict[str, bytes]) -> bytes:
  """Returns a zip file, given the content of its files by name."""
  content = io.BytesIO()
  with zipfile.ZipFile(content, "w") as file:
    for name, data in files.items():
      file.writestr(name, data)
  return content.getvalue()


def images(folder: str, num_images: int) -> bytes:
  """Returns a zip file with images in a folder."""
  content = io.BytesIO()
  Image.effect_noise((64, 64), 50).save(content, "JPEG")
  return zipped(
      {f"{folder}/{i}.jpg": content.getvalue() for i in range(num_images)}
  )


def _captions(num_images: int) -> bytes:
  return json.dumps(
      {
          "images": [
              {"id": i, "file_name": f"{i}.jpg"} for i in range(num_images)
          ],
          "annotations": [
              {"image_id": i, "caption": "A dog ."} for i in range(num_images)
          ],
      }
  ).encode()


class MscocoServer(http.server.ThreadingHTTPServer):
  """A server on loopback with support for ranges and for broken downloads.

  Attributes:
    files: The contents by path, with 4 training and 20 validation images.
    breaks: For each path, the numbers of bytes after which its next downloads
      break off.
    requests: The method, path and range of each request.
  """

  def __init__(self) -> None:
    super().__init__(("127.0.0.1", 0), _Handler)
    self.files: dict[str, bytes] = {
        TRAIN: images("train2014", 4),
        VAL: images("val2014", 20),
        ANNOTATIONS: zipped(
            {
                "annotations/captions_train2014.json": _captions(4),
                "annotations/captions_val2014.json": _captions(20),
            }
        ),
    }
    self.breaks: dict[str, list[int]] = {}
    self.requests: list[tuple[str, str, str | None]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
  server: MscocoServer

  def do_HEAD(self):
    self._answer()

  def do_GET(self):
    data = self._answer()
    breaks = self.server.breaks.get(self.path)
    self.wfile.write(data[: breaks.pop(0)] if breaks else data)

  def _answer(self) -> bytes:
    wanted = self.headers["Range"]
    self.server.requests.append((self.command, self.path, wanted))
    data = self.server.files.get(self.path)
    if data is None:
      self.send_error(404)
      return b""
    start = int(wanted[len("bytes=") : -len("-")]) if wanted else 0
    self.send_response(206 if wanted else 200)
    if wanted:
      self.send_header(
          "Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"
      )
    self.send_header("Content-Length", str(len(data) - start))
    self.end_headers()
    return data[start:]

  def log_message(self, format, *args):
    pass
