"""Tests of html_report in a browser, opened from disk."""

from urllib import parse

from absl.testing import absltest
from PIL import Image
from selenium.webdriver.common import keys

from im2txt.report import html_report
from im2txt.testing import chromium_test_case

_LIGHT, _DARK = "rgb(244, 245, 247)", "rgb(15, 19, 24)"

_NUM_PICTURES = 130  # On three pages.
_HOSTILE = "</script><img src=x onerror=document.title='hacked'>\"'"
_CAPTIONS = {
    3: "a woman holds a naïve café sign .",
    4: "a man and his dog .",
    5: "many birds .",
    7: _HOSTILE,
    8: "",
}


def _pictures(folder):
  for i in range(_NUM_PICTURES):
    path = folder / f"picture_{i}.png"
    if i != 2:  # Missing, so unreadable.
      Image.new("RGB", (640, 480) if i == 4 else (8, 6), "teal").save(path)
    yield html_report.Picture(
        path=path,
        captions=[
            html_report.ReportCaption(
                _CAPTIONS.get(i, f"caption {i} ."), i / 200
            ),
            *[html_report.ReportCaption("another .", 1e-7)]
            * (6 if i == 9 else 1),
        ],
        references=[f"reference {i} ."] * (i % 3),
        # All scores differ, since 37 and 130 are coprime.
        scores={"CIDEr": (37 * i) % 130 / 100} if i else {},
        is_right=i % 10 != 0,
    )


class HtmlReportBrowserTest(chromium_test_case.ChromiumTestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    (cls.dir / "pictures").mkdir()
    cls._url = html_report.write(
        cls.dir / "report #1",
        title="Pictures",
        summary="The pictures.",
        figures={"CIDEr": "0.93"},
        pictures=_pictures(cls.dir / "pictures"),
    ).as_uri()

  def setUp(self):
    super().setUp()
    self.emulate("light")
    self._open()

  def _open(self, fragment=""):
    self.open(self._url + fragment)

  def _names(self):
    return self.texts(".card .name")

  def _fragment(self):
    fragment = parse.urlsplit(self.browser.current_url).fragment
    return dict(parse.parse_qsl(fragment))

  def _await_status(self, text):
    self.wait_for([text], lambda: self.texts("#status"))

  def _search(self, text):
    self.find("#search").clear()
    self.find("#search").send_keys(text)

  def _focused_card(self):
    return self.run_script("return document.activeElement.parentElement.id")

  def _background(self):
    return self.run_script(
        "return getComputedStyle(document.body).backgroundColor"
    )

  def test_first_view(self):
    self.assertEqual(self.browser.title, "Pictures")
    self._await_status("130 pictures, page 1 of 3")
    self.assertEqual(self._names(), [f"picture_{i}.png" for i in range(60)])
    self.assertEqual(self.texts("#picture-2 .scores div"), ["CIDEr0.370"])
    self.assertEqual(
        self.texts("#picture-41 .captions li"),
        ["caption 40 .p=0.200", "another .p=1.0e-7"],
    )
    self.assertEqual(
        self.texts("#picture-42 details li"), ["reference 41 ."] * 2
    )
    self.assertEqual(self.texts(".unreadable"), ["This image can’t be read"])
    self.assertIn("1 of 130 images", self.find(".warning").text)
    self.wait_for(
        59,
        lambda: self.run_script(
            "return Array.from(document.querySelectorAll('.card img'))"
            ".filter((image) => image.naturalWidth).length"
        ),
    )

  def test_sort(self):
    self.choose("#sort", "worst CIDEr")
    self.assertEqual(self.texts(".scores dd")[:3], ["0.010", "0.020", "0.030"])
    self.assertEqual(self._fragment(), {"sort": "worst CIDEr"})
    self.choose("#sort", "best CIDEr")
    self.assertEqual(self.texts(".scores dd")[:2], ["1.290", "1.280"])
    self.choose("#sort", "likely")
    self.assertEqual(self._names()[0], "picture_129.png")
    self.choose("#sort", "name-reversed")
    self.assertEqual(self._names()[:2], ["picture_129.png", "picture_128.png"])

  def test_sort_by_keyboard_and_back(self):
    self.find("#sort").send_keys("CIDEr: best")
    self.assertEqual(self.texts(".scores dd")[0], "1.290")
    self.browser.back()  # The first typed letters select this order.
    self.wait_for("0.010", lambda: self.texts(".scores dd")[0])
    self.browser.back()
    self.wait_for("picture_0.png", lambda: self._names()[0])

  def test_pictures_without_a_score_come_last(self):
    for order in ("worst CIDEr", "best CIDEr"):
      self.choose("#sort", order)
      self.find("#page").clear()
      self.find("#page").send_keys("3", keys.Keys.ENTER)
      self.wait_for("picture_0.png", lambda: self._names()[-1])

  def test_search(self):
    self._search("naive 3")
    self.wait_for(["naïve", "3"], lambda: self.texts("mark"))
    for text, names in (
        ("man", ["picture_4.png", "picture_5.png"]),
        ('"man"', ["picture_4.png"]),
        ("MAN dog", ["picture_4.png"]),
        ("naive CAFE", ["picture_3.png"]),
        ("reference 128", ["picture_128.png"]),
        ("ure_77.", ["picture_77.png"]),
        ("(", []),
    ):
      self._search(text)
      self.wait_for(names, self._names)
    self._await_status("0 of 130 pictures")
    self.find("#show-all").click()
    self._await_status("130 pictures, page 1 of 3")

  def test_search_is_one_step_back(self):
    self._search("man")
    self._await_status("2 of 130 pictures")
    self.find("#search").send_keys(" dog")
    self._await_status("1 of 130 pictures")
    self.browser.back()
    self._await_status("130 pictures, page 1 of 3")
    self.assertEqual(self.find("#search").get_attribute("value"), "")

  def test_pages(self):
    self.assertFalse(self.find("#previous-page").is_enabled())
    self.find("#next-page").click()
    self._await_status("130 pictures, page 2 of 3")
    self.assertEqual(self._names()[0], "picture_60.png")
    self.press(keys.Keys.TAB)
    self.assertEqual(self._focused_card(), "picture-61")
    self.find("#next-page").click()
    self.assertLen(self._names(), 10)
    self.assertFalse(self.find("#next-page").is_enabled())
    self.assertEqual(self._fragment(), {"page": "3"})
    self.browser.back()
    self._await_status("130 pictures, page 2 of 3")

  def test_link_to_a_view(self):
    self._open("#sort=name-reversed&show=wrong&q=caption&page=9")
    self._await_status("13 of 130 pictures")
    self.assertEqual(self._names()[0], "picture_120.png")
    self.assertEqual(self.find("#search").get_attribute("value"), "caption")
    self._open("#sort=unknown&page=x&picture=1000")
    self._await_status("130 pictures, page 1 of 3")

  def test_right_and_wrong(self):
    self.find("#show [value=wrong]").click()
    self._await_status("13 of 130 pictures")
    self.assertEqual(set(self.texts(".verdict")), {"✗ wrong"})
    self.find("#show [value=right]").click()
    self._await_status("117 of 130 pictures, page 1 of 2")

  def test_detail_by_keyboard(self):
    self.run_script("document.querySelector('#picture-5 .frame').focus()")
    self.press(keys.Keys.ENTER)
    name = lambda: self.find("#detail .name").text
    self.wait_for("picture_4.png", name)
    image = self.find("#detail img").get_attribute("src")
    self.assertEndsWith(image, "images/000004.jpg")
    self.assertEqual(self.texts("#detail .references li"), ["reference 4 ."])
    self.press(keys.Keys.ARROW_RIGHT, keys.Keys.ARROW_RIGHT)
    self.wait_for("picture_6.png", name)
    self.press(keys.Keys.ARROW_LEFT)
    self.wait_for("picture_5.png", name)
    self.assertEqual(self.texts("#detail .position"), ["6 of 130"])
    self.press(keys.Keys.ESCAPE)
    self.assertFalse(self.find("#detail").is_displayed())
    self.wait_for({}, self._fragment)
    self.assertEqual(self._focused_card(), "picture-6")

  def test_detail_continues_on_the_next_page(self):
    self._open("#picture=60")
    self.assertTrue(self.find("#detail").is_displayed())
    self.find("#detail .next").click()
    self.wait_for("picture_60.png", lambda: self.find("#detail .name").text)
    self.find("#detail .close").click()
    self._await_status("130 pictures, page 2 of 3")
    self.browser.back()
    self.assertTrue(self.find("#detail").is_displayed())

  def test_keys_work_at_the_first_detail(self):
    self._open("#picture=2")
    self.find("#detail .previous").click()
    self.assertFalse(self.find("#detail .previous").is_enabled())
    self.press(keys.Keys.ARROW_RIGHT)
    self.wait_for("picture_1.png", lambda: self.find("#detail .name").text)

  def test_light_and_dark(self):
    self.assertEqual(self._background(), _LIGHT)
    self.emulate("dark")
    self.assertEqual(self._background(), _DARK)
    self.choose("#theme", "light")
    self.assertEqual(self._background(), _LIGHT)
    self.emulate("light")
    self.choose("#theme", "dark")
    self.assertEqual(self._background(), _DARK)

  def test_phone(self):
    self.emulate("light", chromium_test_case.PHONE)
    for fragment in ("", "#picture=5", "#picture=8", "#q=zzz"):
      self._open(fragment)
      for node in ("document.documentElement", "document.all.detail"):
        self.assertLessEqual(
            self.run_script(f"return {node}.scrollWidth"),
            chromium_test_case.PHONE[0],
            fragment,
        )
    self._open()
    self._search("dog")
    self.wait_for(["picture_4.png"], self._names)
    self.find(".card .frame").click()
    self.assertTrue(self.find("#detail").is_displayed())

  def test_text_is_never_code(self):
    self._open("#picture=8")
    self.wait_for([_HOSTILE], lambda: self.texts("#detail li span[dir]")[:1])
    self.assertEqual(self.browser.title, "Pictures")
    self._open("#" + parse.urlencode({"q": _HOSTILE}))
    self._await_status("1 of 130 pictures")
    self.assertEqual(self.browser.title, "Pictures")

  def test_content_security_policy_is_enforced(self):
    self.run_script(
        "const script = document.createElement('script');"
        "script.append('document.title = 1');"
        "const image = new Image(); image.src = 'http://localhost:9/1.png';"
        "document.body.append(script, image)"
    )
    self.wait_for_complaints("TrustedScript", "img-src 'self' file:")
    self.assertEqual(self.browser.title, "Pictures")

  def test_many_captions(self):
    self.assertLen(self.texts("#picture-10 .captions li"), 5)
    self.assertEqual(self.texts(".more"), ["and 2 more"])
    self._open("#picture=10")
    self.assertLen(self.texts("#detail .captions li"), 7)
    # An empty caption.
    self._open("#picture=9")
    self.wait_for("Empty caption", lambda: self.texts("#detail .none")[0])


if __name__ == "__main__":
  absltest.main()
