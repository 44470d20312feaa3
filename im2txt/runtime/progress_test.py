"""Tests of progress: a bar only where someone sees it."""

import contextlib
import io
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import progress


class ProgressTest(parameterized.TestCase):

  def _run(self, *, is_terminal, is_shown):
    """What is done with items, and what stderr gets."""
    stderr = io.StringIO()
    done = []
    with (
        contextlib.redirect_stderr(stderr),
        mock.patch.object(stderr, "isatty", return_value=is_terminal),
    ):
      with progress.bar("Captioning", 2, is_shown=is_shown) as bar:
        bar.update()
        progress.write("a line")
        bar.update(1)
      items = (str(i) for i in range(2))
      done.extend(progress.bar("Writing", 2, items=items, is_shown=is_shown))
    return done, stderr.getvalue()

  @parameterized.parameters((False, True), (True, False))
  def test_hidden(self, is_terminal, is_shown):
    found = self._run(is_terminal=is_terminal, is_shown=is_shown)
    self.assertEqual(found, (["0", "1"], "a line\n"))

  def test_shown(self):
    done, shown = self._run(is_terminal=True, is_shown=True)
    self.assertEqual(done, ["0", "1"])
    for part in ("Captioning: ", "2/2", "Writing: 100%", "\ra line\n"):
      self.assertIn(part, shown)


if __name__ == "__main__":
  absltest.main()
