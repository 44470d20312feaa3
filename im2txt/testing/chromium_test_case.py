"""Tests of pages in headless Chromium.

Skipped where there is no Chromium (Debian: apt-get install chromium
chromium-driver); nothing is ever downloaded.
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
    # Its sandbox works neither as root nor within another sandbox; what it
    # opens here is a page of our own.
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
  """A browser for all tests of a class; each must leave its console empty.

  Attributes:
    dir: A folder for the class.
    browser: The browser.
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
          "No chromium and chromedriver here, so nothing was opened in a"
          " browser. Debian: apt-get install chromium chromium-driver"
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
    """Fails if the browser complained of anything."""
    self.assertEmpty(self.browser.get_log("browser"))
    # So that it asks for no icon any more when the test's server has stopped.
    self.browser.get("about:blank")
    super().tearDown()

  def emulate(self, color_scheme: str, size: tuple[int, int] = DESKTOP) -> None:
    """Has Chromium be a device with this preference and this screen."""
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
    """Opens a page anew, also if only the fragment differs."""
    self.browser.get("about:blank")
    self.browser.get(url)

  def run_script(self, script: str, *args: Any) -> Any:
    """Runs JavaScript in the page and returns what it returns."""
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
    """Presses keys, wherever the focus is."""
    webdriver.ActionChains(self.browser).send_keys(*pressed).perform()

  def wait_for_complaints(self, *texts: str) -> None:
    """Waits until the console holds all of these; empties it."""
    said: list[str] = []

    def are_there() -> bool:
      said.extend(line["message"] for line in self.browser.get_log("browser"))
      return all(text in " ".join(said) for text in texts)

    self.wait_for(True, are_there)

  def wait_for(self, expected: Any, function: Callable[[], Any]) -> None:
    """Waits until a function returns what is expected."""
    try:
      wait.WebDriverWait(self.browser, _SECONDS_TO_WAIT).until(
          lambda _: function() == expected
      )
    except wait.TimeoutException:
      self.assertEqual(function(), expected)
