"""Tests of shapes_world."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from im2txt.data import build_mscoco_data
from im2txt.shapes import shapes_world

_SCENE = shapes_world.Scene(
    7,
    shapes_world.Thing("red", "circle"),
    shapes_world.Thing("blue", "square"),
)


def _pair(scene):
  return frozenset((scene.upper, scene.lower))


class SceneTest(absltest.TestCase):

  def test_captions(self):
    self.assertEqual(
        _SCENE.captions,
        (
            "a red circle above a blue square .",
            "a red circle is over a blue square .",
            "there is a red circle above a blue square .",
            "above a blue square is a red circle .",
            "below a red circle is a blue square .",
        ),
    )

  def test_labels(self):
    self.assertEqual(
        _SCENE.labels,
        (
            "upper red",
            "upper circle",
            "lower blue",
            "lower square",
        ),
    )
    weights = shapes_world.label_weights()
    self.assertLen(weights, 2 * (5 + 3))
    self.assertEqual([weights[label] for label in _SCENE.labels], [1, 3, 1, 3])


class MakeSplitTest(parameterized.TestCase):

  @parameterized.parameters(120, 500)
  def test_held_out_pairs_are_never_in_training(self, num_scenes):
    split = shapes_world.make_split(num_scenes, seed=1)
    scenes = (*split.train, *split.val)
    self.assertSequenceEqual(
        [scene.image_id for scene in scenes], range(num_scenes)
    )
    self.assertEqual((*split.training, *split.held_out), scenes)
    self.assertEmpty(
        {_pair(s) for s in split.training} & {_pair(s) for s in split.held_out}
    )
    objects = set().union(*(_pair(scene) for scene in split.training))
    self.assertLen(objects, 5 * 3)

  def test_held_out_scenes_are_the_builders_val_and_test(self):
    split = shapes_world.make_split(300, seed=1)
    self.assertLen(split.train, 100)
    self.assertLen(split.val, 200)
    self.assertEqual(split.held_out, split.val[170:])
    splits = build_mscoco_data.split(split.train, split.val)
    self.assertEqual(tuple(splits["train"]), split.training)

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


def _scene(
    image_id=1,
    upper=("red", "circle"),
    lower=("blue", "square"),
):
  return shapes_world.Scene(
      image_id, shapes_world.Thing(*upper), shapes_world.Thing(*lower)
  )


def _draw(scene, seed=1):
  return np.asarray(shapes_world.draw_scene(scene, seed=seed)).astype(int)


def _red(pixels):
  return pixels[..., 0] - pixels[..., 2] > 90


def _blue(pixels):
  return pixels[..., 2] - pixels[..., 0] > 90


class ShapesDrawingTest(parameterized.TestCase):

  def test_depends_on_the_seed_and_the_image_id(self):
    first = _draw(_scene())
    self.assertEqual(first.shape, (124, 124, 3))
    np.testing.assert_array_equal(first, _draw(_scene()))
    self.assertTrue((first != _draw(_scene(), seed=2)).any())
    self.assertTrue((first != _draw(_scene(image_id=2))).any())

  @parameterized.parameters(
      *itertools.product(shapes_world.SHAPES, shapes_world.SHAPES)
  )
  def test_shows_the_upper_object_above_the_lower(self, upper, lower):
    for seed in range(5):
      scene = _scene(upper=("red", upper), lower=("blue", lower))
      pixels = _draw(scene, seed)
      red_rows, blue_rows = (
          np.nonzero(is_color(pixels))[0] for is_color in (_red, _blue)
      )
      self.assertLess(red_rows.max(), blue_rows.min())

  @parameterized.parameters(*shapes_world.SHAPES)
  def test_objects_are_whole_in_the_central_crop(self, shape):
    for seed in range(5):
      scene = _scene(upper=("red", shape), lower=("blue", shape))
      pixels = _draw(scene, seed)
      found = np.nonzero(_red(pixels) | _blue(pixels))
      self.assertGreaterEqual(np.min(found), 8)
      self.assertLess(np.max(found), 8 + 107)

  def test_shapes_look_equally_large(self):
    areas = [
        np.mean(
            [
                _red(_draw(_scene(upper=("red", shape)), seed)).sum()
                for seed in range(20)
            ]
        )
        for shape in shapes_world.SHAPES
    ]
    self.assertLess(max(areas), 1.6 * min(areas))

  def test_every_object_can_be_drawn(self):
    for color, shape in itertools.product(
        shapes_world.COLORS, shapes_world.SHAPES
    ):
      _draw(_scene(upper=(color, shape)))


if __name__ == "__main__":
  absltest.main()
