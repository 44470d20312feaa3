"""Tests of shapes_drawing."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from im2txt.shapes import shapes_drawing
from im2txt.shapes import shapes_world


def _scene(
    image_id=1,
    upper=("red", "circle"),
    lower=("blue", "square"),
):
  return shapes_world.Scene(
      image_id, shapes_world.Thing(*upper), shapes_world.Thing(*lower)
  )


def _draw(scene, seed=1):
  return np.asarray(shapes_drawing.draw_scene(scene, seed=seed)).astype(int)


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
