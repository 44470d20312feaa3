"""Tests of the batcher."""

from concurrent import futures
import subprocess
import sys
import threading

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.serving import batcher
from im2txt.testing import programs


class _Recorder:
  """Doubles numbers, once it may, and keeps what batches they came in."""

  def __init__(self, is_open=True):
    self.batches = []
    self.started = threading.Semaphore(0)
    self.go = threading.Event()
    if is_open:
      self.go.set()

  def __call__(self, items, kind):
    self.batches.append((list(items), kind))
    self.started.release()
    self.go.wait(timeout=60)
    return [2 * item for item in items]


class BatcherTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.run_ = _Recorder()

  def _make(self, **options):
    made = batcher.Batcher(self.run_, **{"max_delay_secs": 0.0, **options})
    self.addCleanup(made.close)
    # Runs before `close`, which would wait forever otherwise.
    self.addCleanup(self.run_.go.set)
    return made

  def _make_busy(self, **options):
    """Returns a batcher whose thread is processing the item 0."""
    self.run_.go.clear()
    made = self._make(**options)
    first = made.submit([0])[0]
    self.assertTrue(self.run_.started.acquire(timeout=60))
    return made, first

  def _finish(self, pending):
    self.run_.go.set()
    return [future.result(timeout=60) for future in pending]

  def test_results(self):
    self.assertEqual(self._finish(self._make().submit([1, 2, 3])), [2, 4, 6])

  def test_nothing(self):
    self.assertEqual(self._make().submit([]), [])

  def test_what_waits_is_one_batch(self):
    made, first = self._make_busy()
    pending = [future for i in (1, 2, 3) for future in made.submit([i])]
    self.assertEqual(made.num_waiting, 3)
    self.assertEqual(self._finish([first, *pending]), [0, 2, 4, 6])
    self.assertEqual([b for b, _ in self.run_.batches], [[0], [1, 2, 3]])

  def test_batches_have_a_greatest_size(self):
    made, _ = self._make_busy(max_batch_size=2)
    self._finish(made.submit([1, 2, 3, 4, 5]))
    self.assertEqual(
        [b for b, _ in self.run_.batches], [[0], [1, 2], [3, 4], [5]]
    )

  def test_batches_have_a_greatest_weight(self):
    made, _ = self._make_busy(weigh=int, max_batch_weight=6)
    self._finish(made.submit([1, 5, 1, 9, 2, 4]))
    self.assertEqual(
        [b for b, _ in self.run_.batches], [[0], [1, 5], [1], [9], [2, 4]]
    )

  def test_others_have_their_turn_after_a_batch_of_a_heavy_request(self):
    made, _ = self._make_busy(weigh=int, max_batch_weight=6)
    pending = made.submit([6, 6, 6]) + made.submit([1]) + made.submit([2, 2])
    self._finish(pending)
    self.assertEqual(
        [b for b, _ in self.run_.batches], [[0], [6], [1, 2, 2], [6], [6]]
    )

  def test_a_heavy_request_has_its_turn_after_others(self):
    made, _ = self._make_busy(weigh=int, max_batch_weight=6)
    pending = made.submit([6, 5])
    # Many small ones, more at each batch.
    for _ in range(3):
      pending += made.submit([3])
    self._finish(pending)
    self.assertEqual(
        [b for b, _ in self.run_.batches], [[0], [6], [3, 3], [3], [5]]
    )

  def test_kinds_are_not_mixed_and_the_oldest_goes_first(self):
    made, _ = self._make_busy()
    pending = made.submit([1], "b") + made.submit([2], "a")
    pending += made.submit([3], "b")
    self.assertEqual(self._finish(pending), [2, 4, 6])
    self.assertEqual(
        self.run_.batches, [([0], None), ([1, 3], "b"), ([2], "a")]
    )

  def test_an_idle_thread_waits_for_company(self):
    made = self._make(max_delay_secs=60.0, max_batch_size=2)
    first = made.submit([1])
    with self.assertRaises(futures.TimeoutError):
      first[0].result(timeout=0.05)
    self.assertEqual(self._finish(first + made.submit([2])), [2, 4])
    self.assertEqual(self.run_.batches, [([1, 2], None)])

  def test_waits_no_longer_than_the_delay(self):
    made = self._make(max_delay_secs=0.01)
    self.assertEqual(self._finish(made.submit([1])), [2])

  def test_full(self):
    made, _ = self._make_busy(max_waiting=3)
    pending = made.submit([1, 2])
    self.assertFalse(made.is_full)
    # All or none.
    with self.assertRaisesRegex(batcher.FullError, "2 items are .* at most 3"):
      made.submit([3, 4])
    pending += made.submit([3])
    self.assertTrue(made.is_full)
    self.assertEqual(self._finish(pending), [2, 4, 6])

  def test_what_is_cancelled_costs_nothing(self):
    made, _ = self._make_busy(max_waiting=2)
    cancelled, kept = made.submit([1, 2])
    self.assertTrue(cancelled.cancel())
    self.assertEqual(made.num_waiting, 1)
    pending = [kept, *made.submit([3])]
    self.assertEqual(self._finish(pending), [4, 6])
    self.assertEqual([b for b, _ in self.run_.batches], [[0], [2, 3]])

  def test_what_has_begun_can_not_be_cancelled(self):
    _, first = self._make_busy()
    self.assertFalse(first.cancel())

  @parameterized.named_parameters(
      ("error", RuntimeError("Broken."), RuntimeError),
      ("too_few_results", None, ValueError),
  )
  def test_a_failure_is_its_batch_only(self, failure, error):
    def run(items, kind):
      if kind == "bad":
        if failure:
          raise failure
        return items[1:]
      return items

    made = batcher.Batcher(run)
    self.addCleanup(made.close)
    with self.assertLogs(level="ERROR"):
      for future in made.submit([1, 2], "bad"):
        with self.assertRaises(error):
          future.result(timeout=60)
    self.assertEqual(made.submit([3])[0].result(timeout=60), 3)

  def test_close_finishes_what_was_accepted(self):
    made, first = self._make_busy()
    pending = [first, *made.submit([1, 2])]
    self.assertTrue(made.is_working)
    closing = threading.Thread(target=made.close)
    closing.start()
    while made.is_working:
      pass
    with self.assertRaises(batcher.ClosedError):
      made.submit([3])
    self.run_.go.set()
    closing.join(timeout=60)
    self.assertEqual([f.result(timeout=0) for f in pending], [0, 2, 4])

  def test_close_without_anything(self):
    self._make().close()
    self.assertEqual(self.run_.batches, [])

  def test_a_process_that_fails_ends(self):
    script = (
        "from im2txt.serving import batcher\n"
        "batcher.Batcher(print)\n"
        "raise ValueError('Too bad.')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=programs.environment(),
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    self.assertEqual(ran.returncode, 1)
    self.assertEndsWith(ran.stderr, "ValueError: Too bad.\n")

  def test_many_threads(self):
    made = self._make(max_batch_size=7, max_waiting=1000)

    def ask(number):
      return self._finish(made.submit([number, -number], number % 3))

    with futures.ThreadPoolExecutor(16) as pool:
      found = list(pool.map(ask, range(300)))
    self.assertEqual(found, [[2 * n, -2 * n] for n in range(300)])
    self.assertLessEqual(max(len(b) for b, _ in self.run_.batches), 7)

  @parameterized.parameters(
      {"max_batch_size": 0}, {"max_waiting": 0}, {"max_delay_secs": -1.0}
  )
  def test_rejects(self, **options):
    with self.assertRaisesRegex(ValueError, "at least"):
      batcher.Batcher(self.run_, **options)


if __name__ == "__main__":
  absltest.main()
