"""The quickstart in small: all stages, by the programs that users run."""

import json
import os
import pathlib
import re

from absl.testing import absltest

from im2txt.testing import programs

# As small as Inception v3 gets, and too few steps to learn anything.
_ARGUMENTS = (
    "--scenes=120",
    "--encoder_steps=2",
    "--decoder_steps=3",
    "--fine_tuning_steps=1",
    "--config_overrides=image_height=75,image_width=75,batch_size=4,"
    "inception_depth_multiplier=0.05",
)
_PROGRAMS = (
    "data.build_mscoco_data",
    "pretrain_encoder",
    "cache_image_features",
    "train",
    "train",
    "evaluate",
    "run_inference",
)


class QuickstartTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(absltest.mock.patch.dict(os.environ))
    for name in ("BUILD_WORKSPACE_DIRECTORY", "TF_CPP_MIN_LOG_LEVEL"):
      os.environ.pop(name, None)
    self._folder = pathlib.Path(self.create_tempdir().full_path) / "run"

  def _run(self, *arguments):
    return programs.run(
        "quickstart", f"--output_dir={self._folder}", *_ARGUMENTS, *arguments
    )

  def test_all_stages(self):
    ran = self._run()
    self.assertEqual(ran.returncode, 0, ran.stderr)
    with self.subTest("stderr has nothing alarming, and few lines of progress"):
      self.assertEmpty(programs.noise(ran.stderr))
      titles = re.findall(r"(?m)^(.*): \d+ of \d+ in 0:\d\d:\d\d", ran.stderr)
      for title in ("Drawing", "Training the encoder", "Encoding images"):
        self.assertIn(title, titles)
        self.assertLess(titles.count(title), 10)
    self.assertSequenceEqual(
        re.findall(r"python3 -m im2txt\.(\S+)", ran.stdout)[:-2], _PROGRAMS
    )
    self.assertRegex(ran.stdout, r"held-out scenes +\d+ of 12\n")
    self.assertRegex(ran.stdout, r"perplexity +\d+\.\d{3}\n")
    page = self._folder / "report" / "index.html"
    self.assertIn(f"\n  {page}\n", ran.stdout)
    self.assertLen(list((page.parent / "thumbnails").iterdir()), 12)
    self.assertTrue((self._folder / "model/train/model.ckpt-4.index").exists())
    seconds = json.loads((self._folder / "stages.json").read_text())["seconds"]
    self.assertLen(seconds, 9)

    with self.subTest("a finished run only shows its results again"):
      again = self._run()
      self.assertEqual(again.returncode, 0, again.stderr)
      self.assertEqual(again.stdout.count("was finished before"), 9)
      results = ran.stdout.partition("\nScenes with pairs")[2]
      self.assertEqual(
          again.stdout.partition("\nScenes with pairs")[2], results
      )

    with self.subTest("other settings need another folder"):
      other = self._run("--seed=2")
      self.assertEqual(other.returncode, 1)
      self.assertIn("was used with other settings", other.stderr)

  def test_a_stage_that_fails_ends_it(self):
    ran = self._run("--config_overrides=no_field=1", "--start_anew")
    self.assertEqual(ran.returncode, 1)
    self.assertIn("Unknown configuration field: 'no_field'", ran.stderr)
    self.assertIn("pretrain_encoder failed with exit status 1.", ran.stderr)
    self.assertNotIn("Traceback", ran.stderr)
    self.assertNotIn("cache_image_features", ran.stdout)


if __name__ == "__main__":
  absltest.main()
