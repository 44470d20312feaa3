"""Writes synthetic scenes as a data set.

    OUTPUT_DIR/train/scene_000000.jpg ...
    OUTPUT_DIR/val/scene_001000.jpg ...
    OUTPUT_DIR/labels.json
    OUTPUT_DIR/captions_train.json
    OUTPUT_DIR/captions_val.json

Pictures and captions have MSCOCO's layout and format. `labels.json` has the
labels of the training scenes, for `pretrain_encoder`:

    {"weights": {"upper red": 1.0, ..., "lower triangle": 3.0},
     "images": [{"file_name": "train/scene_000000.jpg",
                 "labels": ["upper red", "upper circle", ...]}, ...]}
"""

from collections.abc import Iterator
from collections.abc import Sequence
import io
import json
import pathlib
from typing import Any

from im2txt.data import caption_sources
from im2txt.runtime import atomic_files
from im2txt.shapes import shapes_world

_JPEG_QUALITY = 92


def write(
    output_dir: pathlib.Path, split: shapes_world.SceneSplit, *, seed: int
) -> Iterator[shapes_world.Scene]:
  """Draws all scenes, then writes the labels and captions.

  Args:
    output_dir: The folder for the output; created if it is missing.
    split: The scenes.
    seed: Seed of the drawings.

  Yields:
    Each scene after it is drawn.
  """
  sets = {"train": split.train, "val": split.val}
  labels = []
  for name, scenes in sets.items():
    (output_dir / name).mkdir(parents=True, exist_ok=True)
    for scene in scenes:
      path = output_dir / name / scene.file_name
      picture = shapes_world.draw_scene(scene, seed=seed)
      content = io.BytesIO()
      picture.save(content, "JPEG", quality=_JPEG_QUALITY)
      # Not by Pillow, which on a full disk truncates a JPEG without an error.
      with atomic_files.errors_name(str(path)):
        path.write_bytes(content.getvalue())
      labels.append(
          {
              "file_name": f"{name}/{scene.file_name}",
              "labels": scene.labels,
          }
      )
      yield scene
  # Only training scenes, so that no model sees the held-out ones.
  _write_json(
      output_dir / "labels.json",
      {
          "weights": shapes_world.label_weights(),
          "images": labels[: len(split.training)],
      },
  )
  for name, scenes in sets.items():
    _write_json(output_dir / f"captions_{name}.json", captions(scenes))


def captions(scenes: Sequence[shapes_world.Scene]) -> dict[str, Any]:
  """Returns the content of the captions JSON file of some scenes."""
  return caption_sources.content_of(
      [
          caption_sources.CaptionedImage(s.image_id, s.file_name, [*s.captions])
          for s in scenes
      ]
  )


def _write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
  with atomic_files.create(str(path)) as file:
    file.write(json.dumps(value).encode())
