"""A made-up world: two coloured shapes, one in the sky and one on the ground.

It replaces a data set where none is available. Each scene holds two objects,
such as a red circle and a blue square; its five captions say which is above
which, so that every one of them can be checked in the picture:

    a red circle above a blue square .
    a red circle is over a blue square .
    there is a red circle above a blue square .
    above a blue square is a red circle .
    below a red circle is a blue square .

How a caption begins decides which of the two objects it names first. If both
orders could follow the same beginning, the colour said first would decide, and
a decoder learns from that which objects go together instead of where they are:
of new pairs it then says the colour of the one with the shape of the other.
No caption speaks of left and right, which the flips of training would swap.

Some pairs of objects are held out: each of the two is in many training scenes,
but the two are never together in one. A caption of such a scene can't be
remembered; it has to be read off the picture.

In pictures, the horizon divides sky and ground, and each object lies on its own
side of it. Sizes, positions, rotations, colours, horizon and light vary.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import itertools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw

COLORS = ("red", "yellow", "green", "blue", "purple")

SHAPES = ("circle", "square", "triangle")

# The captions of a scene: all of them are right, and no others are.
WORDINGS = (
    "a {upper} above a {lower} .",
    "a {upper} is over a {lower} .",
    "there is a {upper} above a {lower} .",
    "above a {lower} is a {upper} .",
    "below a {upper} is a {lower} .",
)

# The share of val images that build_mscoco_data adds to the training split.
_TRAIN_SHARE_OF_VAL = 0.85

# In the ring of all objects, neighbours up to this far are held out.
_HELD_OUT_DISTANCE = 2


class Thing(NamedTuple):
  """What is said of an object."""

  color: str
  shape: str

  @property
  def name(self) -> str:
    """For example "red circle"."""
    return " ".join(self)


class Scene(NamedTuple):
  """A picture to draw and what it shows."""

  image_id: int
  upper: Thing
  lower: Thing
  is_held_out: bool = False

  @property
  def file_name(self) -> str:
    """Of its picture; it tells whether the scene is held out."""
    kind = "held_out" if self.is_held_out else "scene"
    return f"{kind}_{self.image_id:06d}.jpg"

  @property
  def captions(self) -> tuple[str, ...]:
    """All captions that are right, in the order of `WORDINGS`."""
    return tuple(
        wording.format(upper=self.upper.name, lower=self.lower.name)
        for wording in WORDINGS
    )

  @property
  def labels(self) -> tuple[str, ...]:
    """What an encoder is to see, e.g. "upper red"; four of `label_weights`."""
    return tuple(
        f"{place} {word}"
        for place, thing in (("upper", self.upper), ("lower", self.lower))
        for word in thing
    )


class Split(NamedTuple):
  """The scenes of the two MSCOCO-like sets.

  Attributes:
    train: Scenes of the training set.
    val: Scenes of the validation set. The builder's rule adds its first 85%
      to the training split, so these are ordinary scenes; the rest, which
      become the splits val and test, are the held-out ones.
    held_out: The held-out scenes, a tail of `val`.
  """

  train: tuple[Scene, ...]
  val: tuple[Scene, ...]
  held_out: tuple[Scene, ...]

  @property
  def training(self) -> tuple[Scene, ...]:
    """All scenes that are not held out."""
    return (*self.train, *self.val)[: -len(self.held_out)]


def label_weights() -> dict[str, float]:
  """Returns the labels of scenes and their weights in training.

  Colours are so easy to see that learning them first would leave nothing of
  the first layers for the edges that tell shapes apart. Counting three times as
  much, shapes are learned in half the steps.
  """
  return {
      f"{place} {word}": 3.0 if word in SHAPES else 1.0
      for place in ("upper", "lower")
      for word in (*COLORS, *SHAPES)
  }


def make_split(num_scenes: int, *, seed: int) -> Split:
  """Chooses what the scenes show.

  Two thirds of the scenes are in the validation set, so that 15% of that, a
  tenth of all, are held out.

  Args:
    num_scenes: Scenes in all; at least 120, for each object to be in training.
    seed: Of all choices.

  Returns:
    The scenes of each set.

  Raises:
    ValueError: If there are too few scenes.
  """
  if num_scenes < 120:
    raise ValueError(
        "At least 120 scenes are needed, for every object to occur in"
        f" training. Got: {num_scenes}."
    )
  rng = np.random.default_rng([seed, num_scenes])
  ring = list(itertools.product(COLORS, SHAPES))
  rng.shuffle(ring)
  num_val = num_scenes * 2 // 3
  num_train = num_scenes - num_val + int(_TRAIN_SHARE_OF_VAL * num_val)
  scenes = tuple(
      _make_scene(i, ring, i >= num_train, rng) for i in range(num_scenes)
  )
  first_val = num_scenes - num_val
  return Split(scenes[:first_val], scenes[first_val:], scenes[num_train:])


def _make_scene(
    image_id: int,
    ring: Sequence[tuple[str, str]],
    is_held_out: bool,
    rng: np.random.Generator,
) -> Scene:
  """Returns a scene; only held-out ones pair neighbours of the ring."""
  if is_held_out:
    distances = range(1, _HELD_OUT_DISTANCE + 1)
  else:
    distances = range(_HELD_OUT_DISTANCE + 1, len(ring) - _HELD_OUT_DISTANCE)
  first = image_id % len(ring)  # In turn, so that all occur equally often.
  second = (first + int(rng.choice(distances))) % len(ring)
  upper, lower = (Thing(*ring[i]) for i in rng.permutation([first, second]))
  return Scene(image_id, upper, lower, is_held_out)


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


def draw_scene(scene: Scene, *, seed: int) -> Image.Image:
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
  """Returns where an object's centre is.

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
  """Returns the corners of a shape of radius 1 around (0, 0), slightly turned.

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
