"""Tests of progress."""

import contextlib
import io
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import progress


class ProgressTest(parameterized.TestCase):

  def _run(self, *, is_terminal, is_shown):
    """Returns the processed items and the output on stderr."""
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

  @parameterized.parameters(False, True)
  def test_hidden(self, is_terminal):
    result = self._run(is_terminal=is_terminal, is_shown=False)
    self.assertEqual(result, (["0", "1"], "a line\n"))

  def test_shown_on_a_terminal(self):
    done, shown = self._run(is_terminal=True, is_shown=True)
    self.assertEqual(done, ["0", "1"])
    for part in ("Captioning: ", "2/2", "Writing: 100%", "\ra line\n"):
      self.assertIn(part, shown)

  def test_shown_in_a_log(self):
    done, shown = self._run(is_terminal=False, is_shown=True)
    self.assertEqual(done, ["0", "1"])
    self.assertEqual(
        shown,
        "a line\nCaptioning: 2 of 2 in 0:00:00\nWriting: 2 of 2 in 0:00:00\n",
    )

  def _log(self, secs_per_item, total, *, end_after):
    """Returns the log lines for items that take `secs_per_item` each."""
    now = [100.0]
    stderr = io.StringIO()
    with (
        contextlib.redirect_stderr(stderr),
        mock.patch.object(time, "monotonic", lambda: now[0]),
        contextlib.suppress(KeyboardInterrupt),
        progress.bar("Encoding", total) as bar,
    ):
      for i in range(end_after):
        now[0] += secs_per_item
        bar.set_postfix_str(f"loss {i}", refresh=False)
        bar.update()
      raise KeyboardInterrupt
    return stderr.getvalue().splitlines()

  def test_a_line_each_half_minute_and_one_at_the_end(self):
    lines = self._log(0.25, 4000, end_after=300)
    self.assertEqual(
        lines,
        [
            "Encoding: 120 of 4000 in 0:00:30, loss 119",
            "Encoding: 240 of 4000 in 0:01:00, loss 239",
            "Encoding: 300 of 4000 in 0:01:15, loss 299",
        ],
    )

  def test_slow_items_have_a_line_each(self):
    lines = self._log(3000, 2, end_after=2)
    self.assertEqual(lines[0], "Encoding: 1 of 2 in 0:50:00, loss 0")
    self.assertEqual(lines[-1], "Encoding: 2 of 2 in 1:40:00, loss 1")


if __name__ == "__main__":
  absltest.main()
