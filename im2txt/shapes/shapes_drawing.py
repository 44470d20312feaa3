"""Draws the scenes of the made-up world.

The horizon divides sky and ground, and each object lies on its own side of it.
Sizes, places, turns, colours, horizon and light vary from scene to scene.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import math

import numpy as np
from PIL import Image
from PIL import ImageDraw

from im2txt.shapes import shapes_world

# Pixels a side. Inception v3 at 107 pixels sees the middle of this, and random
# crops of it in training, as 299-pixel crops of 346 do at the usual size.
IMAGE_SIZE = 124

# The central crop leaves out 8 pixels a side; objects keep clear of them.
_MARGIN = 10

# Between an object and the horizon.
_GAP = 2

# Radii in pixels.
_RADII = (15.0, 19.0)

# No corner of a shape is farther from its centre than this many radii.
_REACH = 1.25

_MAX_TURN = 0.25  # Radians to either side.

# Shapes are drawn this many times larger and reduced, for smooth edges.
_SUPERSAMPLING = 4

_COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (210, 40, 40),
    "yellow": (235, 205, 40),
    "green": (45, 160, 70),
    "blue": (45, 85, 210),
    "purple": (145, 60, 175),
}
_COLOR_JITTER = 15
_SKY, _GROUND = (203, 223, 241), (158, 146, 126)
_LIGHT_JITTER = 12

# By the distances of the corners from the centre, in radii, the first at the
# top; scaled so that the shapes of one radius look equally large.
_CORNERS: Mapping[str, Sequence[float]] = {
    "circle": [1.0] * 60,
    "square": [_REACH] * 4,
    "triangle": [_REACH] * 3,
}
_STANDING = {"square": math.pi / 4}  # Turned to stand on a side.


def draw_scene(scene: shapes_world.Scene, *, seed: int) -> Image.Image:
  """Draws a scene.

  Args:
    scene: What to draw.
    seed: Of all variation, together with the scene's image id.

  Returns:
    An RGB picture of `IMAGE_SIZE` pixels a side.
  """
  rng = np.random.default_rng([seed, scene.image_id])
  things = (scene.upper, scene.lower)
  radii = [float(rng.uniform(*_RADII)) for _ in things]
  upper_space, lower_space = (2 * (_REACH * r + _GAP) + _MARGIN for r in radii)
  horizon = rng.uniform(upper_space, IMAGE_SIZE - lower_space)
  sides = ((0, horizon), (horizon, IMAGE_SIZE))
  picture = Image.fromarray(_background(horizon, rng)).resize(
      (IMAGE_SIZE * _SUPERSAMPLING,) * 2, Image.Resampling.BILINEAR
  )
  canvas = ImageDraw.Draw(picture)
  for thing, radius, side in zip(things, radii, sides, strict=True):
    jitter = rng.integers(-_COLOR_JITTER, _COLOR_JITTER + 1, size=3)
    color = np.clip(np.array(_COLORS[thing.color]) + jitter, 0, 255)
    corners = _place(radius, side, rng) + radius * _outline(thing.shape, rng)
    canvas.polygon(
        [tuple(corner) for corner in corners * _SUPERSAMPLING],
        fill=tuple(color.tolist()),
    )
  return picture.reduce(_SUPERSAMPLING)


def _background(horizon: float, rng: np.random.Generator) -> np.ndarray:
  """Sky and ground in a light that changes from corner to corner, with grain.

  Args:
    horizon: Pixels of sky.
    rng: The source of all variation.

  Returns:
    A uint8 array of shape [IMAGE_SIZE, IMAGE_SIZE, 3].
  """
  sky, ground = (
      np.array(color) + rng.uniform(-_LIGHT_JITTER, _LIGHT_JITTER, size=3)
      for color in (_SKY, _GROUND)
  )
  rows = np.arange(IMAGE_SIZE)[:, np.newaxis, np.newaxis]
  pixels = np.where(rows < horizon, sky, ground)
  slope = np.linspace(-1, 1, IMAGE_SIZE)
  across, down = rng.uniform(-10, 10, size=2)
  light = across * slope[np.newaxis, :] + down * slope[:, np.newaxis]
  grain = rng.normal(0, 3, size=(IMAGE_SIZE, IMAGE_SIZE, 1))
  pixels = pixels + light[..., np.newaxis] + grain
  return np.clip(pixels, 0, 255).astype(np.uint8)


def _place(
    radius: float, side: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
  """Where an object's centre is.

  Args:
    radius: Of the object.
    side: The first and the last row of sky or ground.
    rng: The source of all variation.

  Returns:
    A float64 array (x, y).
  """
  reach = _REACH * radius
  lowest, highest = _MARGIN + reach, IMAGE_SIZE - _MARGIN - reach
  return rng.uniform(
      [lowest, max(lowest, side[0] + _GAP + reach)],
      [highest, min(highest, side[1] - _GAP - reach)],
  )


def _outline(shape: str, rng: np.random.Generator) -> np.ndarray:
  """The corners of a shape of radius 1 around (0, 0), slightly turned.

  Args:
    shape: One of `shapes_world.SHAPES`.
    rng: The source of all variation.

  Returns:
    A float64 array of shape [num_corners, 2] of x and y, y pointing down.
  """
  distances = np.array(_CORNERS[shape])
  turn = rng.uniform(-_MAX_TURN, _MAX_TURN) + _STANDING.get(shape, 0)
  angles = np.arange(distances.size) * (2 * math.pi / distances.size) + turn
  directions = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
  return distances[:, np.newaxis] * directions
