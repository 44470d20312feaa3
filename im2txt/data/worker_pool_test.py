"""Tests of worker_pool."""

import errno
import multiprocessing
import os
import pathlib
import signal
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import worker_pool


def _square(number: int) -> tuple[int, int]:
  return number, number**2


def _echo(text: str) -> str:
  return text


def _fail(error: Exception) -> None:
  raise error


def _wait(path: str) -> None:
  while not pathlib.Path(path).exists():
    time.sleep(0.01)


def _touch(path: str) -> None:
  pathlib.Path(path).touch()


def _kill_itself() -> None:
  os.kill(os.getpid(), signal.SIGKILL)


def _interrupt_itself() -> str:
  os.kill(os.getpid(), signal.SIGINT)
  return "still here"


class WorkerPoolTest(parameterized.TestCase):

  def tearDown(self):
    self.assertEmpty(multiprocessing.active_children())
    super().tearDown()

  @parameterized.parameters("fork", "spawn")
  def test_yields_the_result_of_each_task(self, start_method):
    with (
        mock.patch.object(worker_pool, "_START_METHOD", start_method),
        worker_pool.WorkerPool(3) as pool,
    ):
      for number in range(20):
        pool.submit(_square, number)
      self.assertEqual(
          dict(pool.results()), {number: number**2 for number in range(20)}
      )

  def test_takes_further_tasks(self):
    with worker_pool.WorkerPool(2) as pool:
      self.assertEqual(list(pool.results()), [])
      for number in (2, 3):
        pool.submit(_square, number)
        self.assertEqual(list(pool.results()), [(number, number**2)])

  def test_passes_much_data(self):
    text = "x" * 1_000_000
    with worker_pool.WorkerPool(2) as pool:
      for _ in range(8):
        pool.submit(_echo, text)
      self.assertEqual(list(pool.results()), [text] * 8)

  def test_runs_tasks_at_the_same_time(self):
    path = f"{self.create_tempdir().full_path}/go"
    with worker_pool.WorkerPool(2) as pool:
      pool.submit(_wait, path)
      pool.submit(_touch, path)
      self.assertLen(list(pool.results()), 2)

  @parameterized.parameters(
      OSError(errno.ENOSPC, "No space left on device", "shard"),
      FileNotFoundError(errno.ENOENT, "No such file or directory", "image"),
      ValueError("No."),
  )
  def test_raises_the_errors_of_tasks(self, error):
    with (
        self.assertRaises(type(error)) as caught,
        worker_pool.WorkerPool(2) as pool,
    ):
      pool.submit(_fail, error)
      list(pool.results())
    self.assertEqual(str(caught.exception), str(error))

  def test_names_the_signal_that_killed_a_worker(self):
    with (
        self.assertRaisesRegex(
            ChildProcessError, "A worker process was killed by SIGKILL"
        ),
        worker_pool.WorkerPool(2) as pool,
    ):
      pool.submit(_wait, "/no/file")
      pool.submit(_kill_itself)
      list(pool.results())

  def test_names_the_status_of_a_worker_that_ended(self):
    with (
        self.assertRaisesRegex(ChildProcessError, "ended with exit status 3"),
        worker_pool.WorkerPool(1) as pool,
    ):
      pool.submit(os._exit, 3)
      list(pool.results())

  def test_an_error_ends_workers_and_drops_their_tasks(self):
    with (
        self.assertRaises(KeyboardInterrupt),
        worker_pool.WorkerPool(2) as pool,
    ):
      for _ in range(100):
        pool.submit(_wait, "/no/" + "x" * 10_000)
      raise KeyboardInterrupt

  def test_workers_leave_interrupts_to_their_parent(self):
    with worker_pool.WorkerPool(1) as pool:
      pool.submit(_interrupt_itself)
      self.assertEqual(list(pool.results()), ["still here"])


if __name__ == "__main__":
  absltest.main()
