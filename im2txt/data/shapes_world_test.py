"""Tests of shapes_world."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from PIL import Image

from im2txt.data import shapes_world

_SCENE = shapes_world.Scene(
    7,
    shapes_world.Thing("large", "red", "circle"),
    shapes_world.Thing("small", "blue", "square"),
)


def _pair(scene):
  return frozenset(thing[1:] for thing in (scene.upper, scene.lower))


class SceneTest(absltest.TestCase):

  def test_captions(self):
    self.assertEqual(
        _SCENE.captions,
        (
            "a large red circle above a small blue square .",
            "a small blue square below a large red circle .",
            "there is a large red circle above a small blue square .",
            "there is a small blue square below a large red circle .",
            "a large red circle is over a small blue square .",
        ),
    )

  def test_labels(self):
    self.assertEqual(
        _SCENE.labels,
        (
            "upper large",
            "upper red",
            "upper circle",
            "lower small",
            "lower blue",
            "lower square",
        ),
    )
    self.assertContainsSubset(_SCENE.labels, shapes_world.all_labels())


class MakeSplitTest(parameterized.TestCase):

  @parameterized.parameters(120, 500)
  def test_held_out_pairs_are_never_in_training(self, num_scenes):
    split = shapes_world.make_split(num_scenes, seed=1)
    scenes = (*split.train, *split.val)
    self.assertSequenceEqual(
        [scene.image_id for scene in scenes], range(num_scenes)
    )
    training = scenes[: -len(split.held_out)]
    self.assertEqual(scenes[len(training) :], split.held_out)
    self.assertEmpty(
        {_pair(s) for s in training} & {_pair(s) for s in split.held_out}
    )
    objects = set().union(*(_pair(scene) for scene in training))
    self.assertLen(objects, 24)

  def test_held_out_scenes_are_the_builders_val_and_test(self):
    split = shapes_world.make_split(300, seed=1)
    self.assertLen(split.train, 100)
    self.assertLen(split.val, 200)
    self.assertEqual(split.held_out, split.val[170:])

  def test_objects_of_a_scene_differ(self):
    split = shapes_world.make_split(500, seed=3)
    for scene in (*split.train, *split.val):
      self.assertLen(_pair(scene), 2)

  def test_depends_on_the_seed_only(self):
    splits = [shapes_world.make_split(120, seed=seed) for seed in (1, 1, 2)]
    self.assertEqual(splits[0], splits[1])
    self.assertNotEqual(splits[0], splits[2])

  def test_too_few_scenes(self):
    with self.assertRaisesRegex(ValueError, "At least 120 scenes"):
      shapes_world.make_split(119, seed=1)


class DrawSceneTest(parameterized.TestCase):

  def test_depends_on_the_seed_and_the_image_id(self):
    first, again, other_seed, other_id = (
        np.asarray(shapes_world.draw_scene(scene, seed=seed))
        for scene, seed in (
            (_SCENE, 1),
            (_SCENE, 1),
            (_SCENE, 2),
            (_SCENE._replace(image_id=8), 1),
        )
    )
    self.assertEqual(first.shape, (124, 124, 3))
    np.testing.assert_array_equal(first, again)
    self.assertTrue((first != other_seed).any())
    self.assertTrue((first != other_id).any())

  @parameterized.product(
      upper=shapes_world.SHAPES, lower=shapes_world.SHAPES, seed=(1, 2)
  )
  def test_shows_the_upper_object_above_the_lower(self, upper, lower, seed):
    scene = shapes_world.Scene(
        seed,
        shapes_world.Thing("large", "red", upper),
        shapes_world.Thing("small", "blue", lower),
    )
    pixels = np.asarray(shapes_world.draw_scene(scene, seed=seed)).astype(int)
    red = pixels[..., 0] - pixels[..., 2] > 80
    blue = pixels[..., 2] - pixels[..., 0] > 80
    self.assertLess(np.nonzero(red)[0].mean(), np.nonzero(blue)[0].mean())
    self.assertGreater(red.sum(), 1.8 * blue.sum())
    # Whole, and inside the central crop of 107 pixels.
    rows, columns = np.nonzero(red | blue)
    self.assertGreaterEqual(min(rows.min(), columns.min()), 8)
    self.assertLess(max(rows.max(), columns.max()), 8 + 107)


class WriteTest(absltest.TestCase):

  def test_writes_mscoco_like_folders(self):
    output_dir = pathlib.Path(self.create_tempdir().full_path) / "scenes"
    split = shapes_world.make_split(120, seed=1)
    written = list(shapes_world.write(output_dir, split, seed=1))
    self.assertEqual(written, [*split.train, *split.val])
    for name, scenes in (("train", split.train), ("val", split.val)):
      captions = json.loads((output_dir / f"captions_{name}.json").read_text())
      self.assertEqual(captions, shapes_world.captions_json(scenes))
      for scene in scenes:
        with Image.open(output_dir / name / scene.file_name) as image:
          self.assertEqual(image.format, "JPEG")
    self.assertLen(list(output_dir.rglob("*.*")), 120 + 2)

  def test_captions_json(self):
    captions = shapes_world.captions_json([_SCENE])
    self.assertEqual(
        captions["images"],
        [
            {
                "id": 7,
                "file_name": "scene_000007.jpg",
                "labels": list(_SCENE.labels),
            }
        ],
    )
    self.assertEqual(
        captions["annotations"][1],
        {"id": 36, "image_id": 7, "caption": _SCENE.captions[1]},
    )


if __name__ == "__main__":
  absltest.main()
