"""Tests of the middleware."""

import asyncio

from absl.testing import absltest
from absl.testing import parameterized
import fastapi
import httpx

from im2txt.serving import metrics
from im2txt.serving import middleware


class RequestGuardTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.is_full = False
    self.counts = metrics.Metrics()
    self.go = None

  def _guard(self, **limits):
    app = fastapi.FastAPI()

    @app.post("/echo")
    async def echo(request: fastapi.Request) -> int:
      size = len(await request.body())
      if self.go:
        await self.go.wait()
      return size

    @app.get("/hello")
    async def hello() -> str:
      return "hello"

    @app.get("/broken")
    async def broken() -> None:
      raise RuntimeError("/a/path")

    return middleware.RequestGuard(
        app,
        limits=middleware.RequestLimits(**limits),
        counts=self.counts,
        paths={"/echo", "/broken"},
        is_full=lambda: self.is_full,
    )

  def _ask(self, guard, method="POST", path="/echo", content=None):
    async def ask():
      transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
      async with httpx.AsyncClient(transport=transport) as client:
        return await client.request(
            method, f"http://server{path}", content=content
        )

    return asyncio.run(ask())

  def _count(self, path, status):
    figure = f'im2txt_requests_total{{path="{path}",status="{status}"}} 1.0\n'
    self.assertIn(figure, self.counts.page().decode())
    self.assertIn("im2txt_requests_in_progress 0.0\n", self._page())

  def _page(self):
    return self.counts.page().decode()

  def test_lets_through_and_counts(self):
    answer = self._ask(self._guard(max_body_bytes=5), content=b"12345")
    self.assertEqual((answer.status_code, answer.json()), (200, 5))
    self._count("/echo", 200)

  @parameterized.parameters("/echo", "/nowhere", "/broken")
  def test_headers_are_on_every_answer(self, path):
    answer = self._ask(self._guard(), "GET", path)
    self.assertIn(answer.status_code, (404, 405, 500))
    policy = answer.headers["Content-Security-Policy"]
    self.assertStartsWith(policy, "default-src 'none'; script-src 'self';")
    self.assertNotIn("unsafe", policy)
    self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
    self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
    self.assertNotIn("/a/path", answer.text)

  def test_head_is_get_without_the_body(self):
    guard = self._guard()
    by_get = self._ask(guard, "GET", "/hello")
    by_head = self._ask(guard, "HEAD", "/hello")
    self.assertEqual((by_get.status_code, by_get.text), (200, '"hello"'))
    self.assertEqual((by_head.status_code, by_head.text), (200, ""))
    self.assertEqual(by_head.headers, by_get.headers)
    self.assertEqual(self._ask(guard, "HEAD", "/echo").status_code, 405)

  def test_made_up_paths_are_counted_together(self):
    self._ask(self._guard(), "GET", "/nowhere")
    self._count("other", 404)

  async def _chunks(self):
    yield b"123"
    yield b"456"

  @parameterized.parameters(True, False)
  def test_body_is_too_large(self, has_length):
    content = b"123456" if has_length else self._chunks()
    answer = self._ask(self._guard(max_body_bytes=5), content=content)
    self.assertEqual(answer.status_code, 413)
    self._count("/echo", 413)
    if has_length:
      message = "The request is too large; at most 4.76837e-06 MB are allowed."
      self.assertEqual(answer.json(), {"status": "error", "message": message})

  def test_body_comes_too_slowly(self):
    async def trickle():
      yield b"1"
      await asyncio.sleep(60)

    guard = self._guard(body_secs=0.05)
    answer = self._ask(guard, content=trickle())
    self.assertEqual(answer.status_code, 408)
    self.assertEqual(answer.headers["Connection"], "close")

  def test_busy(self):
    self.is_full = True
    guard = self._guard()
    answer = self._ask(guard, content=b"1")
    self.assertEqual(answer.status_code, 503)
    self.assertEqual(answer.headers["Retry-After"], "1")
    self.assertEqual(
        answer.json()["message"],
        "The server is busy; try again in a moment.",
    )
    # Requests without a body are still handled.
    self.assertEqual(self._ask(guard, "GET", "/nowhere").status_code, 404)

  def test_too_many_at_a_time(self):
    async def ask_three(guard):
      self.go = asyncio.Event()
      transport = httpx.ASGITransport(guard)
      async with httpx.AsyncClient(transport=transport) as client:
        post = lambda: client.post("http://server/echo", content=b"1")
        first = [asyncio.ensure_future(post()) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await post()
        self.go.set()
        statuses = [
            answer.status_code for answer in await asyncio.gather(*first)
        ]
        return [*statuses, third.status_code, (await post()).status_code]

    guard = self._guard(max_requests=2)
    self.assertEqual(asyncio.run(ask_three(guard)), [200, 200, 503, 200])


if __name__ == "__main__":
  absltest.main()
