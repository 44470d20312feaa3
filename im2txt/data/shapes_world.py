"""A made-up world: pictures of two coloured shapes, one above the other.

It stands in for a data set where there is none. Each scene holds two objects,
such as a large red circle and a small blue square; its five captions say which
is above which, so that every one of them can be checked in the picture:

    a large red circle above a small blue square .
    a small blue square below a large red circle .
    there is a large red circle above a small blue square .
    there is a small blue square below a large red circle .
    a large red circle is over a small blue square .

No caption speaks of left and right, which the flips of training would swap.

Some pairs of objects, whatever their sizes, are held out: each of the two is
in many training scenes, but the two are never together in one. A caption of
such a scene can't be remembered; it has to be read off the picture.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
import json
import math
import pathlib
from typing import Any
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw

SIZES = ("small", "large")

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (210, 40, 40),
    "yellow": (235, 205, 40),
    "green": (45, 160, 70),
    "blue": (45, 85, 210),
    "purple": (145, 60, 175),
    "black": (35, 35, 40),
}

SHAPES = ("circle", "square", "triangle", "star")

# The captions of a scene: all of them are right, and no others are.
WORDINGS = (
    "a {upper} above a {lower} .",
    "a {lower} below a {upper} .",
    "there is a {upper} above a {lower} .",
    "there is a {lower} below a {upper} .",
    "a {upper} is over a {lower} .",
)

# Pixels a side. Inception v3 at 107 pixels sees the middle of this, and random
# crops of it in training, as 299-pixel crops of 346 do at the usual size.
IMAGE_SIZE = 124
_MARGIN = 10

# Radii in pixels, far enough apart for either size to be told at a glance.
_RADII = {"small": (10.0, 12.0), "large": (18.0, 21.0)}
_MIN_RISE = 30.0
_MIN_GAP = 3.0

# Shapes are drawn this many times larger and reduced, for smooth edges.
_SUPERSAMPLING = 4

# The share of val images that build_mscoco_data adds to the training split.
_TRAIN_SHARE_OF_VAL = 0.85

# In the ring of all objects, neighbours up to this far are held out.
_HELD_OUT_DISTANCE = 2


class Thing(NamedTuple):
  """What is said of an object; its name is e.g. "large red circle"."""

  size: str
  color: str
  shape: str

  @property
  def name(self) -> str:
    return " ".join(self)


class Scene(NamedTuple):
  """A picture to draw and what it shows."""

  image_id: int
  upper: Thing
  lower: Thing

  @property
  def file_name(self) -> str:
    return f"scene_{self.image_id:06d}.jpg"

  @property
  def captions(self) -> tuple[str, ...]:
    """All captions that are right, in the order of `WORDINGS`."""
    return tuple(
        wording.format(upper=self.upper.name, lower=self.lower.name)
        for wording in WORDINGS
    )

  @property
  def labels(self) -> tuple[str, ...]:
    """What an encoder is to see, e.g. "upper red"; six of `all_labels`."""
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


def all_labels() -> tuple[str, ...]:
  """The labels that scenes may have, in a fixed order."""
  words = (*SIZES, *COLORS, *SHAPES)
  return tuple(
      f"{place} {word}" for place in ("upper", "lower") for word in words
  )


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
  far = range(_HELD_OUT_DISTANCE + 1, len(ring) - _HELD_OUT_DISTANCE)
  near = range(1, _HELD_OUT_DISTANCE + 1)
  scenes = tuple(
      _make_scene(i, ring, far if i < num_train else near, rng)
      for i in range(num_scenes)
  )
  first_val = num_scenes - num_val
  return Split(scenes[:first_val], scenes[first_val:], scenes[num_train:])


def _make_scene(
    image_id: int,
    ring: Sequence[tuple[str, str]],
    distances: range,
    rng: np.random.Generator,
) -> Scene:
  """A scene of two objects that are one of `distances` apart in the ring."""
  first = image_id % len(ring)  # In turn, so that all occur equally often.
  second = (first + int(rng.choice(distances))) % len(ring)
  upper, lower = (
      Thing(str(rng.choice(SIZES)), *ring[i])
      for i in rng.permutation([first, second])
  )
  return Scene(image_id, upper, lower)


def draw_scene(scene: Scene, *, seed: int) -> Image.Image:
  """Draws a scene; sizes, places, turns and colours vary with the seed.

  Args:
    scene: What to draw.
    seed: Of all variation, together with the scene's image id.

  Returns:
    An RGB picture of `IMAGE_SIZE` pixels a side.
  """
  rng = np.random.default_rng([seed, scene.image_id])
  things = (scene.upper, scene.lower)
  radii = [float(rng.uniform(*_RADII[thing.size])) for thing in things]
  pixels = Image.fromarray(_background(rng)).resize(
      (IMAGE_SIZE * _SUPERSAMPLING,) * 2, Image.Resampling.BILINEAR
  )
  canvas = ImageDraw.Draw(pixels)
  for thing, radius, center in zip(
      things, radii, _place(radii, rng), strict=True
  ):
    jitter = rng.integers(-15, 16, size=3)
    color = np.clip(np.array(COLORS[thing.color]) + jitter, 0, 255)
    outline = _OUTLINES[thing.shape](float(rng.uniform(-0.25, 0.25)))
    canvas.polygon(
        [
            (
                (center[0] + radius * x) * _SUPERSAMPLING,
                (center[1] + radius * y) * _SUPERSAMPLING,
            )
            for x, y in outline
        ],
        fill=tuple(int(c) for c in color),
    )
  return pixels.reduce(_SUPERSAMPLING)


def _background(rng: np.random.Generator) -> np.ndarray:
  """A light colour that changes gently from corner to corner, with grain.

  Args:
    rng: The source of its variation.

  Returns:
    A uint8 array of shape [IMAGE_SIZE, IMAGE_SIZE, 3].
  """
  color = rng.uniform(185, 245) + rng.uniform(-10, 10, size=3)
  slope = np.linspace(-1, 1, IMAGE_SIZE)
  across, down = rng.uniform(-12, 12, size=2)
  shade = across * slope[np.newaxis, :] + down * slope[:, np.newaxis]
  grain = rng.normal(0, 3, size=(IMAGE_SIZE, IMAGE_SIZE, 1))
  return np.clip(color + shade[..., np.newaxis] + grain, 0, 255).astype(
      np.uint8
  )


def _place(
    radii: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Centres of the upper and the lower object, clear of each other."""
  reaches = [_REACH * radius for radius in radii]
  while True:
    upper, lower = (
        rng.uniform(_MARGIN + reach, IMAGE_SIZE - _MARGIN - reach, size=2)
        for reach in reaches
    )
    is_above = lower[1] - upper[1] >= _MIN_RISE
    if is_above and math.dist(upper, lower) >= sum(reaches) + _MIN_GAP:
      return upper, lower


def _polygon(
    corner_radii: Sequence[float],
) -> Callable[[float], list[tuple[float, float]]]:
  """A shape of unit size by its corners' distances, the first at the top."""

  def outline(turn: float) -> list[tuple[float, float]]:
    step = 2 * math.pi / len(corner_radii)
    return [
        (r * math.sin(i * step + turn), -r * math.cos(i * step + turn))
        for i, r in enumerate(corner_radii)
    ]

  return outline


def _square(turn: float) -> list[tuple[float, float]]:
  return _polygon([1.25] * 4)(turn + math.pi / 4)


# Scaled so that the shapes of one size look equally large.
_OUTLINES: Mapping[str, Callable[[float], list[tuple[float, float]]]] = {
    "circle": _polygon([1.0] * 60),
    "square": _square,
    "triangle": _polygon([1.25] * 3),
    "star": _polygon([1.25, 0.55] * 5),
}
_REACH = 1.25


def write(
    output_dir: pathlib.Path, split: Split, *, seed: int
) -> Iterator[Scene]:
  """Draws all scenes into a folder laid out as MSCOCO is.

  The captions come last, so a folder that has them is whole:

      train/scene_000000.jpg ...  val/scene_001000.jpg ...
      captions_train.json         captions_val.json

  The images of the JSON files have one entry that MSCOCO's lack, "labels".

  Args:
    output_dir: The folder to fill; made if it is missing.
    split: The scenes of the sets "train" and "val".
    seed: Of what varies in the drawing.

  Yields:
    Each scene when it is drawn.
  """
  sets = {"train": split.train, "val": split.val}
  for name, scenes in sets.items():
    image_dir = output_dir / name
    image_dir.mkdir(parents=True, exist_ok=True)
    for scene in scenes:
      draw_scene(scene, seed=seed).save(image_dir / scene.file_name, quality=92)
      yield scene
  for name, scenes in sets.items():
    path = output_dir / f"captions_{name}.json"
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(captions_json(scenes)))
    partial.rename(path)


def captions_json(scenes: Sequence[Scene]) -> dict[str, list[dict[str, Any]]]:
  """The scenes' captions in MSCOCO's form.

  Args:
    scenes: What the images show.

  Returns:
    An object with "images" (id, file_name, labels) and "annotations" (id,
    image_id, caption).
  """
  images = [
      {"id": s.image_id, "file_name": s.file_name, "labels": list(s.labels)}
      for s in scenes
  ]
  annotations = [
      {
          "id": scene.image_id * len(WORDINGS) + i,
          "image_id": scene.image_id,
          "caption": caption,
      }
      for scene in scenes
      for i, caption in enumerate(scene.captions)
  ]
  return {"images": images, "annotations": annotations}
