"""Tests of shapes_dataset."""

import json
import pathlib

from absl.testing import absltest
from PIL import Image

from im2txt.shapes import shapes_dataset
from im2txt.shapes import shapes_world


class ShapesDatasetTest(absltest.TestCase):

  def test_captions(self):
    scene = shapes_world.Scene(
        7,
        shapes_world.Thing("red", "circle"),
        shapes_world.Thing("blue", "square"),
    )
    captions = shapes_dataset.captions([scene])
    self.assertEqual(
        captions["images"], [{"id": 7, "file_name": "scene_000007.jpg"}]
    )
    self.assertLen(captions["annotations"], 5)
    self.assertEqual(
        captions["annotations"][1],
        {"id": 1, "image_id": 7, "caption": scene.captions[1]},
    )

  def test_write(self):
    output_dir = pathlib.Path(self.create_tempdir().full_path) / "scenes"
    split = shapes_world.make_split(120, seed=1)
    written = list(shapes_dataset.write(output_dir, split, seed=1))
    self.assertEqual(written, [*split.train, *split.val])
    for name, scenes in (("train", split.train), ("val", split.val)):
      captions = json.loads((output_dir / f"captions_{name}.json").read_text())
      self.assertEqual(captions, shapes_dataset.captions(scenes))
      for scene in scenes:
        with Image.open(output_dir / name / scene.file_name) as image:
          self.assertEqual(image.format, "JPEG")
    self.assertLen(list(output_dir.rglob("*.*")), 120 + 3)

  def test_only_training_scenes_have_labels(self):
    output_dir = pathlib.Path(self.create_tempdir().full_path)
    split = shapes_world.make_split(120, seed=1)
    for _ in shapes_dataset.write(output_dir, split, seed=1):
      pass
    labels = json.loads((output_dir / "labels.json").read_text())
    self.assertEqual(labels["weights"], shapes_world.label_weights())
    self.assertLen(labels["images"], 120 - 12)
    for image, scene in zip(labels["images"], split.training, strict=True):
      self.assertTrue((output_dir / image["file_name"]).is_file())
      self.assertEqual(image["labels"], list(scene.labels))


if __name__ == "__main__":
  absltest.main()
