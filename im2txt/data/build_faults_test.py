"""Tests of build_mscoco_data when it is killed or the disk is full."""

import io
import json
import os
from pathlib import Path
import time

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.testing import faults

_KILLS = 20
_NUM_IMAGES = 60


def _contents(folder: Path) -> dict[str, bytes]:
  """Returns the files of a folder that have their final names."""
  return {
      path.name: path.read_bytes()
      for path in folder.iterdir()
      if not path.name.startswith(".")
  }


class BuildFaultsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.output_dir = self.folder / "output"
    (self.folder / "images").mkdir()
    for i in range(_NUM_IMAGES):
      content = io.BytesIO()
      Image.new("RGB", (16, 16), (i, i, i)).save(content, "JPEG")
      (self.folder / "images" / f"{i}.jpg").write_bytes(content.getvalue())
    (self.folder / "images" / "5.jpg").unlink()
    (self.folder / "captions.json").write_text(
        json.dumps(
            {
                "images": [
                    {"id": i, "file_name": f"{i}.jpg"}
                    for i in range(_NUM_IMAGES)
                ],
                "annotations": [
                    {"image_id": i, "caption": f"A picture {j}."}
                    for i in range(_NUM_IMAGES)
                    for j in range(2)
                ],
            }
        )
    )

  def _arguments(self) -> list[str]:
    places = {
        "image_dir": self.folder / "images",
        "captions_file": self.folder / "captions.json",
    }
    return [
        *(f"--train_{name}={path}" for name, path in places.items()),
        *(f"--val_{name}={path}" for name, path in places.items()),
        f"--output_dir={self.output_dir}",
        f"--word_counts_output_file={self.output_dir}/word_counts.txt",
        *("--train_shards=4", "--val_shards=2", "--test_shards=1"),
        "--num_threads=2",
    ]

  def _run(self, **conditions) -> faults.Ended:
    return faults.run(
        "data.build_mscoco_data", *self._arguments(), **conditions
    )

  def _undisturbed(self) -> dict[str, bytes]:
    self.assertEqual(0, self._run().status)
    whole = _contents(self.output_dir)
    self.assertLen(whole, 9)
    self.output_dir = self.folder / "again"
    return whole

  def test_killed_at_any_moment(self):
    whole = self._undisturbed()

    def on_kill():
      if self.output_dir.exists():
        for name, content in _contents(self.output_dir).items():
          self.assertEqual(whole[name], content, name)

    def on_end():
      self.assertEqual(whole, _contents(self.output_dir))
      self.assertLen(list(self.output_dir.iterdir()), len(whole))
      self.output_dir = self.output_dir.with_name(f"{time.monotonic_ns()}")

    faults.kill_often(
        lambda: faults.start("data.build_mscoco_data", *self._arguments()),
        on_kill=on_kill,
        on_end=on_end,
        kills=_KILLS,
        seed=2,
    )

  def test_temporary_files_of_a_killed_run_are_removed(self):
    whole = self._undisturbed()
    self.output_dir.mkdir()
    for name in whole:
      (self.output_dir / f".{name}.107.tmp").write_text("half")
    (self.output_dir / ".notes.107.tmp").write_text("Not of this program.")
    self.assertEqual(0, self._run().status)
    self.assertCountEqual(
        [*whole, ".notes.107.tmp"], os.listdir(self.output_dir)
    )

  # No room for the list of skipped images; or only for small files.
  @parameterized.parameters((40, "skipped_images.txt"), (9000, "train-0000"))
  def test_disk_full(self, file_size, name):
    whole = self._undisturbed()
    ended = self._run(file_size=file_size)
    self.assertEqual(1, ended.status)
    self.assertRegex(
        ended.output.splitlines()[-1],
        f"^build_mscoco_data: {self.output_dir / name}.* can't be written: File"
        " too large",
    )
    written = _contents(self.output_dir)
    self.assertNotIn(name, written)
    for name, content in written.items():
      self.assertEqual(whole[name], content, name)
    self.assertLen(os.listdir(self.output_dir), len(written))
    self.assertEqual(0, self._run().status)
    self.assertEqual(whole, _contents(self.output_dir))

  def test_nowhere_to_print(self):
    ended = self._run(stdout="/dev/full")
    self.assertEqual(
        (1, "build_mscoco_data: No space left on device: standard output\n"),
        ended,
    )

  def test_no_room_for_temporary_files(self):
    ended = self._run(has_temporary_folder=False)
    self.assertEqual(0, ended.status, ended.output)


if __name__ == "__main__":
  absltest.main()
