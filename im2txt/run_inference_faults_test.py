"""Tests of run_inference in trouble: killed, or with nowhere to write."""

import os
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.testing import faults
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_KILLS = 20
_NUM_IMAGES = 24


def _make_input(folder):
  original_graph.write(folder)
  tiny.write_vocabulary(folder)
  os.mkdir(os.path.join(folder, "images"))
  for i in range(_NUM_IMAGES):
    path = pathlib.Path(folder, "images", f"{i:02d}.jpg")
    path.write_bytes(tiny_captioning.jpeg(i))


class RunInferenceFaultsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dir = tempfile.mkdtemp(dir=absltest.TEST_TMPDIR.value)
    faults.call(_make_input, cls.dir)
    whole = pathlib.Path(cls.dir, "captions.jsonl")
    ended = faults.run("run_inference", *cls._arguments(whole))
    assert ended.status == 0, ended.output
    cls.whole = whole.read_bytes()

  @classmethod
  def _arguments(cls, output_file=None):
    flags = [
        f"--checkpoint_path={cls.dir}/frozen.pb",
        f"--vocab_file={cls.dir}/word_counts.txt",
        f"--input_files={cls.dir}/images/*.jpg",
        # A resumed run has other batches if they are larger than 1, and then
        # the last digits of a probability may differ.
        "--batch_size=1",
    ]
    if output_file:
      flags += [f"--output_file={output_file}", "--output_format=jsonl"]
    return flags

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.output = self.folder / "captions.jsonl"
    self.journal = self.folder / "captions.jsonl.partial"
    self.finished = self.folder / "captions.jsonl.journal"

  def _run(self, *arguments, **conditions):
    return faults.run(
        "run_inference",
        *self._arguments(self.output),
        *arguments,
        **conditions,
    )

  def _assert_done(self):
    """Checks that the output is whole, with its journal and nothing else."""
    self.assertEqual(self.whole, self.output.read_bytes())
    self.assertCountEqual(
        [self.output.name, self.finished.name], os.listdir(self.folder)
    )

  def test_killed_at_any_moment(self):
    known = 0

    def on_kill():
      nonlocal known
      if self.output.exists():
        self.assertEqual(self.whole, self.output.read_bytes())
      elif self.journal.exists():
        lines = self.journal.read_bytes().count(b"\n")
        self.assertGreaterEqual(lines, known, "A caption was lost.")
        known = lines

    def on_end():
      nonlocal known
      self._assert_done()
      self.output.unlink()
      self.finished.unlink()
      known = 0

    faults.kill_often(
        lambda: faults.start(
            "run_inference", *self._arguments(self.output), "--resume"
        ),
        on_kill=on_kill,
        on_end=on_end,
        kills=_KILLS,
        seed=4,
    )

  def test_disk_full(self):
    ended = self._run(file_size=len(self.whole) // 2)
    self.assertEqual(1, ended.status)
    self.assertEqual(
        f"run_inference: {self.journal} can't be written: File too large.",
        ended.output.splitlines()[-1],
    )
    self.assertFalse(self.output.exists())
    self.assertGreater(self.journal.read_bytes().count(b"\n"), 1)
    self.assertEqual(0, self._run("--resume").status)
    self._assert_done()

  def test_disk_full_at_the_end(self):
    # The journal has a line more, so it is never shorter than the output.
    self.assertEqual(1, self._run(file_size=len(self.whole) - 1).status)
    self.assertFalse(self.output.exists())
    self.assertEqual(0, self._run("--resume").status)
    self._assert_done()

  def test_nowhere_to_print(self):
    ended = faults.run("run_inference", *self._arguments(), stdout="/dev/full")
    self.assertEqual(1, ended.status)
    self.assertEqual(
        "run_inference: No space left on device: standard output",
        ended.output.splitlines()[-1],
    )
    self.assertNotIn("Exception", ended.output)

  def test_a_file_in_place_of_the_folder(self):
    path = self.create_tempfile().full_path
    self.output = pathlib.Path(path, "captions.jsonl")
    ended = self._run()
    self.assertEqual(1, ended.status)
    self.assertIn(path, ended.output.splitlines()[-1])
    self.assertNotIn("Traceback", ended.output)

  def test_no_room_for_temporary_files(self):
    ended = self._run(has_temporary_folder=False)
    self.assertEqual(0, ended.status, ended.output)
    self._assert_done()


if __name__ == "__main__":
  absltest.main()
