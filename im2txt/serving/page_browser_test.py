"""Tests of the server's page in headless Chromium."""

import base64

from absl.testing import absltest
from selenium.webdriver.common import by
from selenium.webdriver.common import keys

from im2txt.data import image_files
from im2txt.serving import application
from im2txt.serving import caption_service
from im2txt.serving import middleware
from im2txt.testing import chromium_test_case
from im2txt.testing import fake_captioner
from im2txt.testing import loopback_server

# Colours of the page, as in page.css.
_LIGHT, _DARK = "rgb(245, 246, 250)", "rgb(13, 16, 22)"

# Makes an event with files, as a person's paste or drop gives them.
_TRANSFER = """
  const [type, files] = arguments;
  const transfer = new DataTransfer();
  for (const [name, kind, content] of files) {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, {type: kind}));
  }
  const options = {bubbles: true, cancelable: true};
  document.querySelector("#intake").dispatchEvent(
    type === "paste"
      ? new ClipboardEvent(type, {...options, clipboardData: transfer})
      : new DragEvent(type, {...options, dataTransfer: transfer}));
"""


def _file(name, content=b"", kind="image/png"):
  return [name, kind, base64.b64encode(content).decode()]


class PageBrowserTest(chromium_test_case.ChromiumTestCase):

  def setUp(self):
    super().setUp()
    self.captioner = fake_captioner.FakeCaptioner()
    self.addCleanup(self.captioner.go.set)
    self._serve()
    self.emulate("light")
    self.open(self.url)

  def _serve(self, **limits):
    self.url = self.enterContext(
        loopback_server.serve(
            application.make(
                self.captioner,
                caption_service.Limits(**{"max_images": 1, **limits}),
                middleware.RequestLimits(),
            )
        )
    )

  def _choose(self, *sizes, selector="#files"):
    paths = []
    for width, height in sizes:
      path = self.dir / f"{width}_{height}.png"
      path.write_bytes(fake_captioner.image(width, height))
      paths.append(str(path))
    self.find(selector).send_keys("\n".join(paths))

  def _transfer(self, event, *files):
    self.run_script(_TRANSFER, event, files)

  def _await_captions(self, *sentences):
    self.wait_for(list(sentences), lambda: self.texts(".best .sentence"))

  def _await_errors(self, *messages):
    self.wait_for(list(messages), lambda: self.texts(".error"))

  def _buttons(self):
    return [
        button.text
        for button in self.browser.find_elements(by.By.CSS_SELECTOR, "button")
        if button.is_displayed()
    ]

  def test_first_view(self):
    self.assertEqual(self.browser.title, "im2txt: captions for pictures")
    self.assertEqual(self._buttons(), [])
    self.wait_for(
        ["The model knows 12,000 words."], lambda: self.texts("#model")
    )

  def test_chosen_files(self):
    self._choose((8, 6), (9, 5))
    self._await_captions("a 8 by 6.", "a 9 by 5.")
    self.assertEqual(self.texts("#status"), ["2 pictures"])
    self.assertLen(self.texts(".card:first-child summary"), 3)
    self.assertEqual(
        self.texts(".card:first-child .captions .row .number"),
        ["37%", "14%", "5%"],
    )
    # The best one's words are open, with the end.
    shown = self.find(".card .words")
    self.assertEqual(
        shown.text.split(),
        ["a", "90%", "8", "80%", "by", "100%", "6", "50%", ".", "99%"]
        + ["end", "75%"],
    )
    widths = self.run_script(
        "return Array.from(document.querySelectorAll("
        "'.card:first-child summary .track'), (track) =>"
        " track.firstChild.offsetWidth / track.offsetWidth)"
    )
    # Shares of the likeliest: 1/e and 1/e^2.
    for width, share in zip(widths, [1, 0.368, 0.135], strict=True):
      self.assertAlmostEqual(width, share, delta=0.02)
    self.assertRegex(self.texts("#said")[0], r"^\d_\d.png: a \d by \d\.$")

  def test_the_camera(self):
    self._choose((7, 7), selector="#camera")
    self._await_captions("a 7 by 7.")

  def test_pasted_and_dropped_files(self):
    self._transfer("paste", _file("one.png", fake_captioner.image(5, 5)))
    self._await_captions("a 5 by 5.")
    self._transfer("dragover", _file("two.png"))
    self.assertLen(self.texts(".dragging"), 1)
    self._transfer("drop", _file("two.png", fake_captioner.image(4, 3)))
    self._await_captions("a 5 by 5.", "a 4 by 3.")
    self.assertEqual(self.texts(".dragging"), [])
    self.assertEqual(self.texts(".card .name"), ["one.png", "two.png"])

  def test_paste_of_text_is_nothing(self):
    self._transfer("paste")
    self.assertEqual(self.texts(".card"), [])

  def test_large_pictures_are_made_smaller(self):
    noise = fake_captioner.image(2000, 1000, "bmp")
    self._transfer("drop", _file("large.bmp", noise, "image/bmp"))
    self._await_captions("a 1600 by 800.")

  def test_what_is_no_picture(self):
    self._transfer(
        "drop",
        _file("a.txt", b"text", "text/plain"),
        _file("b.png", b"text"),
    )
    self._await_errors(
        "Not a picture that this browser can show.",
        image_files.PROBLEM,
    )
    self.assertLen(self.texts(".best"), 0)
    self.wait_for(
        2, lambda: self.texts(".frame").count("No preview of this file")
    )

  def test_keyboard(self):
    self.press(keys.Keys.TAB)
    focused = "return document.activeElement.id"
    self.assertEqual(self.run_script(focused), "files")
    self._choose((8, 6), (9, 5))
    self._await_captions("a 8 by 6.", "a 9 by 5.")
    self.run_script("document.querySelectorAll('.card summary')[1].focus()")
    words = lambda: len(self.texts(".card:first-child details[open]"))
    self.press(keys.Keys.ENTER)
    self.wait_for(2, words)
    self.press(keys.Keys.SPACE)
    self.wait_for(1, words)
    self.run_script("document.querySelector('.remove').focus()")
    self.press(keys.Keys.ENTER)
    self._await_captions("a 9 by 5.")
    # The focus goes to the next picture, and then to where they come from.
    self.press(keys.Keys.ENTER)
    self._await_captions()
    self.assertEqual(self.run_script(focused), "files")
    self.assertEqual(self._buttons(), [])

  def test_options(self):
    self._choose((8, 6))
    self._await_captions("a 8 by 6.")
    self.find("#options summary").click()
    self.choose("[name=max_caption_length]", "32")
    self.choose("[name=beam_size]", "5")
    self.wait_for(5, lambda: len(self.texts(".card summary")))
    self.assertEqual(
        self.captioner.batches[-1][1],
        {
            "beam_size": 5,
            "max_caption_length": 32,
            "length_normalization_factor": 0.0,
        },
    )

  def test_remove_all(self):
    self.captioner.go.clear()
    self._choose((8, 6), (9, 5))
    self.wait_for(["0 of 2 pictures done"], lambda: self.texts("#status"))
    self.find("#clear").click()
    self.assertEqual(self.texts(".card"), [])
    self.captioner.go.set()
    self._choose((7, 7))
    self._await_captions("a 7 by 7.")

  def test_a_busy_server_is_asked_again(self):
    self._serve(max_waiting=1, max_batch_size=1)
    self.open(self.url)
    self.captioner.go.clear()
    self._choose((8, 6), (9, 5), (7, 7))
    self.wait_for(
        True,
        lambda: "The server is busy. Waiting…" in self.texts(".pending span"),
    )
    self.captioner.go.set()
    self._await_captions("a 8 by 6.", "a 9 by 5.", "a 7 by 7.")
    self._expect_complaint("503")

  def test_try_again(self):
    self.captioner.failure = RuntimeError("Out of order.")
    with self.assertLogs(level="ERROR"):
      self._choose((8, 6))
      self._await_errors("Internal error; the server's log has the details.")
    self.captioner.failure = None
    self.find(".action").click()
    self._await_captions("a 8 by 6.")
    self._expect_complaint("500")

  def test_offline(self):
    self._set_offline(True)
    self._choose((8, 6))
    self._await_errors(
        "The server can’t be reached. It may have been stopped, or the network"
        " is down."
    )
    self.assertIn("This device is offline", self.find("#offline").text)
    self._set_offline(False)
    self.wait_for(False, self.find("#offline").is_displayed)
    self.find(".action").click()
    self._await_captions("a 8 by 6.")
    self._expect_complaint("INTERNET_DISCONNECTED")

  def _set_offline(self, offline):
    self.browser.set_network_conditions(
        offline=offline, latency=0, throughput=-1
    )

  def _expect_complaint(self, part):
    """The browser itself complains of failed requests; of nothing else."""
    for line in self.browser.get_log("browser"):
      self.assertIn(part, line["message"])

  def test_light_and_dark(self):
    color = "return getComputedStyle(document.body).backgroundColor"
    self.assertEqual(self.run_script(color), _LIGHT)
    self.emulate("dark")
    self.assertEqual(self.run_script(color), _DARK)

  def test_phone(self):
    self.emulate("light", chromium_test_case.PHONE)
    self.open(self.url)
    width = "return document.documentElement.scrollWidth"
    self.assertEqual(self.run_script(width), chromium_test_case.PHONE[0])
    self._transfer("drop", _file(f"{60 * 'long'}.png", fake_captioner.image()))
    self._await_captions("a 8 by 6.")
    self.find("#options summary").click()
    self.assertEqual(self.run_script(width), chromium_test_case.PHONE[0])

  def test_buttons_are_in_sight_whatever_a_file_is_called(self):
    for size in (chromium_test_case.PHONE, chromium_test_case.DESKTOP):
      self.emulate("light", size)
      self.open(self.url)
      for count in (1, 2):  # A card alone has another layout than several.
        self._transfer(
            "drop", _file(f"{35 * 'long'}.png", fake_captioner.image())
        )
        self._await_captions(*count * ["a 8 by 6."])
        overflows = self.run_script(
            "return Array.from(document.querySelectorAll('.remove'), (button)"
            " => button.getBoundingClientRect().right >"
            " button.closest('.card').getBoundingClientRect().right)"
        )
        self.assertEqual(overflows, count * [False])

  def test_policy_holds(self):
    self.run_script(
        "const script = document.createElement('script');"
        "script.append('document.title = 1');"
        "document.body.append(script)"
    )
    self.wait_for_complaints("TrustedScript")
    self.assertEqual(self.browser.title, "im2txt: captions for pictures")


if __name__ == "__main__":
  absltest.main()
