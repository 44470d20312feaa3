"""Tests of the HTTP application."""

import asyncio
import contextlib
import re

from absl.testing import absltest
from absl.testing import parameterized
import fastapi
import httpx

from im2txt.data import image_files
from im2txt.serving import application
from im2txt.serving import caption_service
from im2txt.serving import middleware
from im2txt.testing import fake_captioner

_IMAGE = fake_captioner.image


def _fields(*images):
  return [("images", ("/a/path.jpg", image)) for image in images]


class ApplicationTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.captioner = fake_captioner.FakeCaptioner()
    self.limits = {}

  def _run(self, talk):
    """Runs the application during `talk(client)`; returns its result."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
      # A server sends these at the start and at the end.
      sent, received = asyncio.Queue(), asyncio.Queue()
      task = asyncio.ensure_future(
          app({"type": "lifespan", "state": {}}, sent.get, received.put)
      )
      for moment in ("startup", "shutdown"):
        await sent.put({"type": f"lifespan.{moment}"})
        message = await received.get()
        self.assertEqual(message["type"], f"lifespan.{moment}.complete")
        if moment == "startup":
          try:
            yield
          finally:
            self.captioner.go.set()
      await task

    async def run():
      app = application.make(
          self.captioner,
          caption_service.Limits(**self.limits),
          middleware.RequestLimits(),
      )
      transport = httpx.ASGITransport(app, raise_app_exceptions=False)
      async with (
          lifespan(app),
          httpx.AsyncClient(
              transport=transport, base_url="http://server"
          ) as client,
      ):
        return await talk(client)

    return asyncio.run(run())

  def _post(self, path, files, data=None):
    return self._run(lambda client: client.post(path, files=files, data=data))

  def _get(self, path):
    return self._run(lambda client: client.get(path))

  def _assert_error(self, answer, status, message):
    """Checks an error response; `message` is a part of its message."""
    self.assertEqual(answer.status_code, status)
    self.assertEqual(answer.json().keys(), {"status", "message"})
    self.assertEqual(answer.json()["status"], "error")
    self.assertIn(message, answer.json()["message"])

  def test_predict(self):
    answer = self._post("/model/predict", {"image": _IMAGE(5, 4)})
    self.assertEqual(answer.status_code, 200)
    self.assertEqual(answer.json()["status"], "ok")
    self.assertEqual(
        answer.json()["predictions"][0],
        {
            "index": "0",
            "caption": "a 5 by 4 .",
            "probability": 0.36787944117144233,
        },
    )
    self.assertLen(answer.json()["predictions"], 3)

  @parameterized.named_parameters(
      ("text", b"text", image_files.PROBLEM),
      ("empty", b"", "It is empty."),
  )
  def test_predict_a_bad_image(self, image, reason):
    answer = self._post("/model/predict", {"image": ("/a/path.jpg", image)})
    self._assert_error(answer, 400, f"The image can't be used. {reason}")

  def test_captions(self):
    self.limits = {"max_pixels": 100}
    answer = self._post(
        "/v1/captions",
        _fields(_IMAGE(5, 4), b"text", _IMAGE(11, 10), _IMAGE(6, 7)),
        {
            "beam_size": "5",
            "max_caption_length": "10",
            "length_normalization_factor": "0.72",
            "num_captions": "2",
        },
    )
    self.assertEqual(answer.status_code, 200)
    images = answer.json()["images"]
    self.assertEqual(
        [image["error"] for image in images],
        [
            None,
            image_files.PROBLEM,
            "It has 11 x 10 pixels, more than the 100 that are allowed.",
            None,
        ],
    )
    self.assertEqual([len(i["captions"]) for i in images], [2, 0, 0, 2])
    first = images[0]["captions"][0]
    self.assertEqual(first["caption"], "a 5 by 4 .")
    self.assertEqual(first["words"][1], {"word": "5", "probability": 0.8})
    self.assertEqual(first["end_probability"], 0.75)
    self.assertEqual(
        self.captioner.batches[1],
        (
            4,
            {
                "beam_size": 5,
                "max_caption_length": 10,
                "length_normalization_factor": 0.7,
            },
        ),
    )

  @parameterized.parameters(
      ({"beam_size": "0"}, "beam_size: Input should be greater than or equal"),
      ({"beam_size": "21"}, "beam_size: Input should be less than or equal"),
      ({"max_caption_length": "x"}, "max_caption_length: Input should be a"),
      ({"length_normalization_factor": "nan"}, "length_normalization_factor:"),
      ({"num_captions": "0"}, "num_captions: Input should be greater"),
  )
  def test_wrong_options(self, options, message):
    answer = self._post("/v1/captions", _fields(_IMAGE()), options)
    self.assertEqual(answer.status_code, 400)
    self.assertStartsWith(answer.json()["message"], message)

  @parameterized.parameters(
      ("/model/predict", "picture as a file", "image"),
      ("/v1/captions", "pictures as files", "images"),
  )
  def test_no_file(self, path, what, field):
    message = f"Send the {what} in the multipart field '{field}'."
    answer = self._post(path, {"other": b"x"})
    self._assert_error(answer, 400, message)
    answer = self._post(path, {"other": b"x"}, {field: "text"})
    self._assert_error(answer, 400, message)

  def test_too_many_images(self):
    self.limits = {"max_images": 2}
    answer = self._post("/v1/captions", _fields(*3 * [_IMAGE()]))
    self._assert_error(answer, 400, "at most 2 images. Got: 3.")

  @parameterized.parameters(
      ("multipart/form-data", b"x"),
      ("multipart/form-data; boundary=y", b"x"),
      ("multipart/form-data; boundary=y", b"--y\r\n\r\n--y--\r\n"),
      ("application/json", b"{"),
      ("image/jpeg", b"\xff\xd8"),
  )
  def test_bodies_that_are_no_form(self, content_type, content):
    for path in ("/model/predict", "/v1/captions"):
      answer = self._run(
          lambda client, path=path: client.post(
              path, content=content, headers={"Content-Type": content_type}
          )
      )
      self.assertEqual(answer.status_code, 400)
      self.assertEqual(answer.json()["status"], "error")

  def test_unknown_addresses(self):
    self._assert_error(self._get("/nowhere"), 404, "Not found: ")
    answer = self._get("/model/predict")
    self._assert_error(answer, 405, "does not support the request's HTTP")
    self.assertEqual(answer.headers["Allow"], "POST")

  def test_too_many_pixels(self):
    self.limits = {"max_pixels": 48}
    answer = self._post("/v1/captions", _fields(*11 * [_IMAGE(8, 6)]))
    self._assert_error(answer, 413, "528 pixels in total")

  def test_time_out(self):
    self.limits = {"timeout_secs": 0.05}

    async def ask(client):
      self.captioner.go.clear()
      return await client.post("/model/predict", files={"image": _IMAGE()})

    self._assert_error(self._run(ask), 504, "Timed out waiting for")

  @parameterized.parameters(
      {"max_waiting": 1}, {"max_waiting_bytes": 2 * len(_IMAGE())}
  )
  def test_busy(self, **limits):
    self.limits = {"max_images": 1, "max_batch_size": 1, **limits}

    async def ask_three(client):
      self.captioner.go.clear()
      post = lambda: client.post("/model/predict", files={"image": _IMAGE()})
      first = []
      for num_batches in (2, 2):  # The first batch is that of `warm_up`.
        first.append(asyncio.ensure_future(post()))
        while len(self.captioner.batches) < num_batches:
          await asyncio.sleep(0.01)
      while (await client.get("/readyz")).status_code == 200:
        await asyncio.sleep(0.01)
      answer = await post()
      self.captioner.go.set()
      statuses = [each.status_code for each in await asyncio.gather(*first)]
      self.assertEqual(statuses, [200, 200])
      return answer, await client.get("/readyz")

    answer, readiness = self._run(ask_three)
    self.assertEqual(answer.status_code, 503)
    self.assertEqual(answer.headers["Retry-After"], "1")
    self.assertEqual(readiness.status_code, 200)

  def test_a_failure_shows_nothing(self):
    async def ask(client):
      self.captioner.failure = OSError(5, "Broken", "/a/path")
      answer = await client.post("/model/predict", files={"image": _IMAGE()})
      self.captioner.failure = None
      return answer, await client.post(
          "/model/predict", files={"image": _IMAGE()}
      )

    with self.assertLogs(level="ERROR"):
      answer, next_answer = self._run(ask)
    self._assert_error(answer, 500, "Internal error; the server's log")
    self.assertNotIn("Broken", answer.text)
    self.assertEqual(next_answer.status_code, 200)

  def test_metadata(self):
    found = self._get("/model/metadata").json()
    self.assertEqual(found["id"], "im2txt")
    self.assertEqual(found["vocab_size"], 12000)
    self.assertEqual(found["max_images"], 32)
    self.assertEqual(found["max_body_bytes"], 32 * 2**20)

  def test_metrics(self):
    async def talk(client):
      await client.post("/v1/captions", files=_fields(_IMAGE(), b"x"))
      return await client.get("/metrics")

    answer = self._run(talk)
    self.assertStartsWith(answer.headers["Content-Type"], "text/plain")
    for figure in (
        'im2txt_requests_total{path="/v1/captions",status="200"} 1.0',
        'im2txt_images_total{outcome="captioned"} 1.0',
        'im2txt_images_total{outcome="refused"} 1.0',
        "im2txt_images_waiting 0.0",
        "im2txt_batch_size_sum 3.0",
    ):
      self.assertIn(f"\n{figure}\n", answer.text)

  def test_description(self):
    found = self._get("/openapi.json").json()
    self.assertContainsSubset(
        {"/model/predict", "/v1/captions", "/model/metadata", "/healthz"},
        found["paths"],
    )
    self.assertContainsSubset(
        {"200", "400", "413", "503", "504"},
        found["paths"]["/v1/captions"]["post"]["responses"],
    )
    # FastAPI's documentation pages would load scripts from other sites.
    for path in ("/docs", "/redoc"):
      self.assertEqual(self._get(path).status_code, 404)

  def test_health_and_page(self):
    self.assertEqual(self._get("/healthz").json(), {"status": "ok"})
    self.assertIn("<title>im2txt", self._get("/").text)


class PageFilesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.app = fastapi.FastAPI()
    application._add_page(self.app)

  def _get(self, path):
    async def get():
      transport = httpx.ASGITransport(self.app)
      async with httpx.AsyncClient(transport=transport) as client:
        return await client.get(f"http://server/{path}")

    return asyncio.run(get())

  def test_page_and_all_it_refers_to(self):
    page = self._get("")
    self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
    self.assertEqual(page.headers["Cache-Control"], "no-cache")
    names = set(re.findall(r'(?:src|href)="([\w.]+)"', page.text))
    names.remove("openapi.json")
    self.assertContainsSubset({"page.js", "page.css", "icon.svg"}, names)
    for name in names:
      for other in re.findall(r'from "\./(\w+\.js)"', self._get(name).text):
        self.assertEqual(self._get(other).status_code, 200)
      self.assertEqual(self._get(name).status_code, 200)
    script = self._get("page.js").headers["Content-Type"]
    self.assertEqual(script, "text/javascript; charset=utf-8")

  def test_no_outside_resource_and_nothing_inline(self):
    for route in self.app.routes:
      if route.path.endswith((".js", ".css", "/")):
        text = self._get(route.path[1:]).text
        self.assertNotRegex(text, r"(https?:)?//[a-z]+\.")
        self.assertNotRegex(text, r"\son[a-z]+=|<style|\sstyle=")

  def test_no_other_file(self):
    for path in ("page_files.py", "../page_files.py", "index.html", "x.js"):
      self.assertEqual(self._get(path).status_code, 404)


if __name__ == "__main__":
  absltest.main()
