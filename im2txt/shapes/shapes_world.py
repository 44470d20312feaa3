"""A synthetic world: scenes of two coloured shapes, one above the other.

It replaces a data set where none is available. Each scene has two objects, such
as a red circle in the sky and a blue square on the ground. Its five captions
name both and state which is above, so each caption can be checked:

    a red circle above a blue square .
    a red circle is over a blue square .
    there is a red circle above a blue square .
    above a blue square is a red circle .
    below a red circle is a blue square .

The first words of a caption determine which object it names first. If both
orders could follow the same first words, the decoder would learn from the first
colour which objects go together, instead of where they are; for new pairs it
would then combine the colour of one object with the shape of the other. No
caption mentions left and right, which the random flips of training would swap.

Some pairs of objects are held out: each of the two is in many training scenes,
but the pair is in none. So the model can't have memorized the captions of such
a scene; it has to recognize the objects.

In pictures, the horizon divides sky and ground, and each object is on its own
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

# The true captions of a scene; all others count as wrong.
WORDINGS = (
    "a {upper} above a {lower} .",
    "a {upper} is over a {lower} .",
    "there is a {upper} above a {lower} .",
    "above a {lower} is a {upper} .",
    "below a {upper} is a {lower} .",
)

# The share of val images that build_mscoco_data adds to the training split.
_TRAIN_SHARE_OF_VAL = 0.85

# All objects form a ring; pairs up to this distance in the ring are held out.
_HELD_OUT_DISTANCE = 2


class Thing(NamedTuple):
  """An object of a scene."""

  color: str
  shape: str

  @property
  def name(self) -> str:
    """The name in captions, such as "red circle"."""
    return " ".join(self)


class Scene(NamedTuple):
  """A scene: the objects of a picture."""

  image_id: int
  upper: Thing
  lower: Thing
  is_held_out: bool = False

  @property
  def file_name(self) -> str:
    """The file name of the picture; its prefix marks held-out scenes."""
    kind = "held_out" if self.is_held_out else "scene"
    return f"{kind}_{self.image_id:06d}.jpg"

  @property
  def captions(self) -> tuple[str, ...]:
    """The true captions, in the order of `WORDINGS`."""
    return tuple(
        wording.format(upper=self.upper.name, lower=self.lower.name)
        for wording in WORDINGS
    )

  @property
  def labels(self) -> tuple[str, ...]:
    """The four labels for the encoder, such as "upper red"."""
    return tuple(
        f"{place} {word}"
        for place, thing in (("upper", self.upper), ("lower", self.lower))
        for word in thing
    )


class SceneSplit(NamedTuple):
  """The scenes of a training and a validation set, as MSCOCO has them.

  Attributes:
    train: The scenes of the training set.
    val: The scenes of the validation set. build_mscoco_data adds the first 85%
      of them to its training split, so these are ordinary scenes. The rest,
      which it divides into its val and test splits, are held-out scenes.
    held_out: The held-out scenes: the last ones of `val`.
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

  Colours are easier to learn than shapes. With equal weights, the first layers
  specialize in colours and lose the edges that distinguish shapes. With three
  times the weight, shapes are learned in half the steps.
  """
  return {
      f"{place} {word}": 3.0 if word in SHAPES else 1.0
      for place in ("upper", "lower")
      for word in (*COLORS, *SHAPES)
  }


def make_split(num_scenes: int, *, seed: int) -> SceneSplit:
  """Chooses the objects of all scenes.

  Two thirds of the scenes are in the validation set, so that the held-out 15%
  of that are a tenth of all scenes.

  Args:
    num_scenes: Total number of scenes; at least 120, so that every object
      occurs in a training scene.
    seed: Seed of all choices.

  Returns:
    The scenes of each set.

  Raises:
    ValueError: If `num_scenes` is less than 120.
  """
  if num_scenes < 120:
    raise ValueError(
        "At least 120 scenes are needed, so that every object occurs in"
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
  return SceneSplit(scenes[:first_val], scenes[first_val:], scenes[num_train:])


def _make_scene(
    image_id: int,
    ring: Sequence[tuple[str, str]],
    is_held_out: bool,
    rng: np.random.Generator,
) -> Scene:
  """Returns a scene; only held-out scenes pair neighbours in the ring."""
  if is_held_out:
    distances = range(1, _HELD_OUT_DISTANCE + 1)
  else:
    distances = range(_HELD_OUT_DISTANCE + 1, len(ring) - _HELD_OUT_DISTANCE)
  first = image_id % len(ring)  # In turn, so that all are equally frequent.
  second = (first + int(rng.choice(distances))) % len(ring)
  upper, lower = (Thing(*ring[i]) for i in rng.permutation([first, second]))
  return Scene(image_id, upper, lower, is_held_out)


# Pixels per side. The encoder's input is 107 pixels: the central crop, or a
# random one in training, as 299-pixel crops of 346 pixels at the usual size.
IMAGE_SIZE = 124

# The central crop removes 8 pixels per side; objects are farther inside.
_MARGIN = 10

# Minimum pixels between an object and the horizon.
_GAP = 2

# Radii in pixels.
_RADII = (15.0, 19.0)

# Maximum distance of a shape's corners from its centre, in radii.
_REACH = 1.25

_MAX_TURN = 0.25  # In radians, in either direction.

# Scenes are drawn this many times as large, then reduced, for smooth edges.
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

# Distances of the corners from the centre, in radii, starting at the top. They
# are scaled so that shapes of the same radius look equally large.
_CORNERS: Mapping[str, Sequence[float]] = {
    "circle": [1.0] * 60,
    "square": [_REACH] * 4,
    "triangle": [_REACH] * 3,
}
_STANDING = {"square": math.pi / 4}  # The turn that puts it on a side.


def draw_scene(scene: Scene, *, seed: int) -> Image.Image:
  """Draws a scene.

  Args:
    scene: The scene.
    seed: Seed of the variation, in combination with the scene's image id.

  Returns:
    An RGB picture of `IMAGE_SIZE` pixels per side.
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
  """Draws sky and ground, with a gradient of light and with noise.

  Args:
    horizon: Height of the sky in pixels.
    rng: The random generator.

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
  """Chooses the centre of an object.

  Args:
    radius: The radius of the object.
    side: The first and the last row of the sky or the ground.
    rng: The random generator.

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
    shape: One of `SHAPES`.
    rng: The random generator.

  Returns:
    A float64 array of shape [num_corners, 2] of x and y, y pointing down.
  """
  distances = np.array(_CORNERS[shape])
  turn = rng.uniform(-_MAX_TURN, _MAX_TURN) + _STANDING.get(shape, 0)
  angles = np.arange(distances.size) * (2 * math.pi / distances.size) + turn
  directions = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
  return distances[:, np.newaxis] * directions
