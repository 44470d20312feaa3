"""Tests of how the page is served."""

import asyncio
import re

from absl.testing import absltest
import fastapi
import httpx

from im2txt.serving import page_files


class PageFilesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.app = fastapi.FastAPI()
    page_files.add(self.app)

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
