"""Tests of cache_image_features in trouble: killed, or on a full disk."""

import json
import pathlib
import tempfile
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration
from im2txt import networks
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.testing import faults
from im2txt.testing import mean_encoder
from im2txt.testing import tiny

_KILLS = 20
_SHARDS = 4


def _make_encoder(config):
  del config
  return mean_encoder.MeanEncoder(copies=8)


def _make_input(folder):
  tiny.write_pairs(folder, "pairs-00000-of-00001", 40, captions_per_image=2)
  saved_config.save(folder, tiny.CONFIG, configuration.TrainingConfig())
  variables = _make_encoder(tiny.CONFIG).variables_by_name
  checkpoints.Saver(variables, folder, max_to_keep=1).save(1)


class CacheImageFeaturesFaultsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dir = tempfile.mkdtemp(dir=absltest.TEST_TMPDIR.value)
    faults.call(_make_input, cls.dir)
    cls.enterClassContext(
        mock.patch.object(networks, "make_encoder", _make_encoder)
    )

  def setUp(self):
    super().setUp()
    self.output_dir = pathlib.Path(self.create_tempdir().full_path) / "whole"
    ended = self._run()
    self.assertEqual(0, ended.status, ended.output)
    self.whole = self._contents()
    self.assertLen(self.whole, _SHARDS + 1)
    self.output_dir = self.output_dir.with_name("again")

  def _arguments(self):
    return (
        f"--input_file_pattern={self.dir}/pairs-*",
        f"--inception_checkpoint_file={self.dir}/model.ckpt-1",
        f"--output_dir={self.output_dir}",
        f"--output_shards={_SHARDS}",
        "--views_per_image=2",
    )

  def _run(self, **conditions):
    return faults.run("cache_image_features", *self._arguments(), **conditions)

  def _contents(self):
    """What is in the folder under a final name."""
    if not self.output_dir.exists():
      return {}
    return {
        path.name: path.read_bytes()
        for path in self.output_dir.iterdir()
        if path.suffix != ".tmp"
    }

  def _check_files(self):
    """Checks that what has its final name is whole.

    Returns:
      How many files the next run has to keep: none if the set is whole, since
      it is then made again.
    """
    written = self._contents()
    metadata = json.loads(written.pop("features.json", "{}"))
    for name, content in written.items():
      self.assertEqual(self.whole[name], content, name)
    if "train" not in metadata.get("sets", ()):
      return len(written)
    self.assertLen(written, _SHARDS)
    return 0

  def test_killed_at_any_moment(self):
    written = 0

    def on_kill():
      nonlocal written
      files = [name for name in self._contents() if name != "features.json"]
      self.assertGreaterEqual(len(files), written, "A file was lost.")
      written = self._check_files()

    def on_end():
      nonlocal written
      self.assertEqual(self.whole, self._contents())
      self.output_dir = self.output_dir.with_name(f"{time.monotonic_ns()}")
      written = 0

    faults.kill_often(
        lambda: faults.start("cache_image_features", *self._arguments()),
        on_kill=on_kill,
        on_end=on_end,
        kills=_KILLS,
        seed=3,
    )

  # Room for features.json, but for no or not all files of features.
  @parameterized.parameters(
      (1000, "train-00000-of-00004"), (0, "features.json")
  )
  def test_disk_full(self, file_size, name):
    ended = self._run(file_size=file_size)
    self.assertEqual(1, ended.status)
    message = ended.output.splitlines()[-1]
    self.assertStartsWith(
        message, f"cache_image_features: {self.output_dir / name}"
    )
    self.assertIn("File too large", message)
    self.assertNotIn(name, self._contents())
    self._check_files()
    self.assertEqual(0, self._run().status)
    self.assertEqual(self.whole, self._contents())

  def test_half_written_set_is_not_trained_on(self):
    self.assertEqual(1, self._run(file_size=1000).status)
    metadata = json.loads(self._contents()["features.json"])
    self.assertEqual({}, metadata["sets"])
    self.assertIn("train", metadata["unfinished"])

  def test_a_file_in_place_of_the_folder(self):
    path = self.create_tempfile().full_path
    self.output_dir = pathlib.Path(path, "features")
    ended = self._run()
    self.assertEqual(1, ended.status)
    self.assertIn(path, ended.output.splitlines()[-1])
    self.assertNotIn("Traceback", ended.output)

  def test_damaged_features_json(self):
    self.output_dir.mkdir()
    (self.output_dir / "features.json").write_bytes(bytes(100))
    ended = self._run()
    self.assertEqual(1, ended.status)
    self.assertStartsWith(
        ended.output.splitlines()[-1],
        f"cache_image_features: {self.output_dir / 'features.json'} is damaged",
    )

  def test_no_room_for_temporary_files(self):
    ended = self._run(has_temporary_folder=False)
    self.assertEqual(0, ended.status, ended.output)
    self.assertEqual(self.whole, self._contents())


if __name__ == "__main__":
  absltest.main()
