"""Test case for web pages in headless Chromium.

Tests are skipped if Chromium is not installed (on Debian: apt-get install
chromium chromium-driver). Nothing is downloaded.
"""

from collections.abc import Callable
import pathlib
import shutil
from typing import Any

from absl.testing import absltest
from selenium import webdriver
from selenium.webdriver.chrome import service
from selenium.webdriver.common import by
from selenium.webdriver.remote import webelement
from selenium.webdriver.support import select
from selenium.webdriver.support import wait

DESKTOP, PHONE = (1280, 900), (390, 844)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    # The sandbox works neither as root nor within another sandbox. The tests
    # open only our own pages.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SECONDS_TO_WAIT = 60


class ChromiumTestCase(absltest.TestCase):
  """A test case with a browser, whose console each test must leave empty.

  Attributes:
    dir: A folder for the tests of the class.
    browser: The browser, shared by the tests of the class.
  """

  dir: pathlib.Path
  browser: webdriver.Chrome

  @classmethod
  def setUpClass(cls):
    """Starts the browser."""
    super().setUpClass()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
      raise absltest.SkipTest(
          "Chromium or chromedriver is missing. On Debian: apt-get install"
          " chromium chromium-driver"
      )
    cls.dir = pathlib.Path(absltest.TEST_TMPDIR.value) / cls.__name__
    shutil.rmtree(cls.dir, ignore_errors=True)
    cls.dir.mkdir(parents=True)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*_OPTIONS, f"--user-data-dir={cls.dir / 'profile'}"):
      options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    cls.browser = webdriver.Chrome(
        options=options, service=service.Service(driver)
    )
    cls.addClassCleanup(cls.browser.quit)

  def tearDown(self):
    """Fails if there are messages in the browser's console."""
    self.assertEmpty(self.browser.get_log("browser"))
    # So that it requests no icon after the test's server has stopped.
    self.browser.get("about:blank")
    super().tearDown()

  def emulate(self, color_scheme: str, size: tuple[int, int] = DESKTOP) -> None:
    """Emulates a device with a colour preference and a screen size."""
    feature = {"name": "prefers-color-scheme", "value": color_scheme}
    self.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [feature]}
    )
    width, height = size
    self.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": size == PHONE,
        },
    )

  def open(self, url: str) -> None:
    """Opens a page, with a reload even if only the fragment differs."""
    self.browser.get("about:blank")
    self.browser.get(url)

  def run_script(self, script: str, *args: Any) -> Any:
    """Runs JavaScript in the page and returns its result."""
    return self.browser.execute_script(script, *args)

  def find(self, selector: str) -> webelement.WebElement:
    """Returns the first element of a CSS selector."""
    return self.browser.find_element(by.By.CSS_SELECTOR, selector)

  def texts(self, selector: str) -> list[str]:
    """Returns the texts of all elements of a CSS selector."""
    return self.run_script(
        "return Array.from(document.querySelectorAll(arguments[0]),"
        " (found) => found.textContent)",
        selector,
    )

  def choose(self, selector: str, value: str) -> None:
    """Chooses an option of a select element."""
    select.Select(self.find(selector)).select_by_value(value)

  def press(self, *pressed: str) -> None:
    """Presses keys, in the focused element."""
    webdriver.ActionChains(self.browser).send_keys(*pressed).perform()

  def wait_for_complaints(self, *texts: str) -> None:
    """Waits until the console has messages with all texts; empties it."""
    messages: list[str] = []

    def are_complete() -> bool:
      messages.extend(
          line["message"] for line in self.browser.get_log("browser")
      )
      return all(text in " ".join(messages) for text in texts)

    self.wait_for(True, are_complete)

  def wait_for(self, expected: Any, function: Callable[[], Any]) -> None:
    """Waits until a function returns the expected value."""
    try:
      wait.WebDriverWait(self.browser, _SECONDS_TO_WAIT).until(
          lambda _: function() == expected
      )
    except wait.TimeoutException:
      self.assertEqual(function(), expected)
