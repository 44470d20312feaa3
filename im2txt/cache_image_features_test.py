"""Tests of the program cache_image_features, with a stand-in encoder."""

import json
import os
import pathlib
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt import cache_image_features
from im2txt import configuration
from im2txt import networks
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.ops import feature_inputs
from im2txt.testing import mean_encoder
from im2txt.testing import programs
from im2txt.testing import tiny


class CacheImageFeaturesTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dir = tf.compat.v1.test.get_temp_dir()
    tiny.write_pairs(cls.dir, "pairs-00000-of-00001", 6, captions_per_image=2)
    saved_config.save(
        cls.dir, tiny.CONFIG, configuration.TrainingConfig(seed=3)
    )
    for step, scale in ((1, 100.0), (2, 50.0)):
      variables = mean_encoder.MeanEncoder(scale).variables_by_name
      saver = checkpoints.Saver(variables, cls.dir, max_to_keep=5)
      saver.save(step)

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(
            networks, "make_encoder", lambda _: mean_encoder.MeanEncoder()
        )
    )
    self.output_dir = pathlib.Path(self.create_tempdir().full_path, "features")

  def _run(self, step=1, **values):
    ran = programs.run_here(
        cache_image_features,
        **{
            "input_file_pattern": os.path.join(self.dir, "pairs-*"),
            "inception_checkpoint_file": f"{self.dir}/model.ckpt-{step}",
            "output_dir": os.fspath(self.output_dir),
            "output_shards": 2,
            **values,
        },
    )
    self.assertIsNone(ran.returncode)
    return ran.stdout

  def _metadata(self):
    return json.loads((self.output_dir / "features.json").read_text())

  def test_files_and_what_is_said(self):
    self.assertEqual(
        "Wrote the features of 3 images with 6 captions to"
        f" {self.output_dir}.\n",
        self._run(),
    )
    self.assertCountEqual(
        ["features.json", "train-00000-of-00002", "train-00001-of-00002"],
        os.listdir(self.output_dir),
    )
    description = self._metadata()["sets"]["train"]
    self.assertEqual(
        (3, 6, 1, "float16", 3),
        tuple(
            description[name]
            for name in ("images", "captions", "num_views", "dtype", "seed")
        ),
    )

  def test_flags_say_what_is_written(self):
    self._run(
        output_prefix="val",
        output_shards=1,
        views_per_image=2,
        feature_dtype="float32",
        config_overrides="seed=5",
    )
    layout = feature_inputs.read_layout(
        [os.fspath(self.output_dir / "val-00000-of-00001")]
    )
    self.assertEqual((2, 3, "float32"), layout)
    self.assertEqual(5, self._metadata()["sets"]["val"]["seed"])

  def test_either_flag_names_the_same_encoder(self):
    self._run(step=2)
    self._run(
        inception_checkpoint_file="",
        checkpoint_path=self.dir,  # Whose newest one is of step 2.
        output_prefix="val",
    )
    self.assertCountEqual(["train", "val"], self._metadata()["sets"])

  def test_refuses_features_of_another_encoder(self):
    self._run(step=1)
    before = self._metadata()
    with self.assertRaisesRegex(ValueError, r"of another encoder \(train\)"):
      self._run(step=2, output_prefix="val")
    self.assertEqual(before, self._metadata())

  def test_goes_on_with_the_files_that_are_missing(self):
    self._run()
    first, second = sorted(self.output_dir.glob("train-*"))
    expected = second.read_bytes()
    # As a run that was stopped leaves it.
    metadata = self._metadata()
    metadata["unfinished"]["train"] = metadata["sets"].pop("train")
    (self.output_dir / "features.json").write_text(json.dumps(metadata))
    second.unlink()
    written = first.stat().st_mtime_ns
    self._run()
    self.assertEqual(expected, second.read_bytes())
    self.assertEqual(written, first.stat().st_mtime_ns)
    self.assertIn("train", self._metadata()["sets"])


class FlagsTest(parameterized.TestCase):

  def test_help(self):
    ran = programs.run("cache_image_features", "--help")
    self.assertEqual(0, ran.returncode)
    self.assertIn("--output_prefix=train", ran.stdout)
    self.assertIn("--views_per_image: Number of views", ran.stdout)

  @parameterized.parameters(
      (["--output_dir=x"], "--input_file_pattern is required."),
      (["--input_file_pattern=x"], "--output_dir is required."),
      (
          ["--input_file_pattern=x", "--output_dir=x"],
          "Give either --inception_checkpoint_file or --checkpoint_path.",
      ),
      (["--output_shards=0"], "flag --output_shards=0: "),
  )
  def test_wrong_flags(self, arguments, message):
    ran = programs.run("cache_image_features", *arguments)
    self.assertEqual(2, ran.returncode)
    self.assertStartsWith(ran.stderr, f"cache_image_features: {message}")
    self.assertLen(ran.stderr.splitlines(), 1)


if __name__ == "__main__":
  tf.test.main()
