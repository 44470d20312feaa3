r"""Measures the building of TFRecords from captions and photographs.

    bazel-bin/benchmarks/building_data

compares whole programs, from start to exit: `build_mscoco_data`, and
`plain_builder`, which works as the original did: threads of one process fully
decode the photograph once per caption. The photographs are synthetic, 640 x 480
pixels and 90 kB. For real ones, use

    --image_dir=val2017 --captions_file=captions_val2017.json

`--plot=building_data.png` also plots the cost against the number of
photographs.
"""

from collections.abc import Sequence
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from absl import flags
import numpy as np

from benchmarks import growth
from benchmarks import measure
from benchmarks import photographs
from im2txt.runtime import program

_IMAGE_DIR = flags.DEFINE_string(
    "image_dir", "", "Folder of the photographs in --captions_file."
)
_CAPTIONS_FILE = flags.DEFINE_string(
    "captions_file", "", "Captions JSON; synthetic captions if empty."
)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images",
    607,
    "Number of photographs; those of --captions_file are repeated, with other"
    " names, if there are fewer.",
    lower_bound=20,
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 3, "Number of runs per program.", lower_bound=1
)
_PLOT = flags.DEFINE_string(
    "plot",
    "",
    "PNG file for a plot of the cost of an eighth to all of --num_images.",
)

_WORDS = (
    "a man woman dog cat surfboard wave street table with two people riding on"
    " top of the in standing next to holding red white small large kitchen bus"
)
_CAPTIONS_PER_IMAGE = 5
_PROGRAMS = {
    "plain_builder": "benchmarks.plain_builder",
    "build_mscoco_data": "im2txt.data.build_mscoco_data",
}


def main(argv: Sequence[str]) -> None:
  """Prints a table, and plots the cost if requested."""
  del argv
  with tempfile.TemporaryDirectory() as folder:
    data = pathlib.Path(folder)
    if _CAPTIONS_FILE.value:
      captions = json.loads(pathlib.Path(_CAPTIONS_FILE.value).read_bytes())
      repeat_images(data, captions, _IMAGE_DIR.value, _NUM_IMAGES.value)
    else:
      make_images(data, _NUM_IMAGES.value)
    sizes = [_NUM_IMAGES.value]
    if _PLOT.value:
      sizes = [_NUM_IMAGES.value // part for part in (8, 4, 2, 1)]
    variants = [_variant(name, data, n) for name in _PROGRAMS for n in sizes]
    results = measure.compare(variants, rounds=_ROUNDS.value, warmups=0)
  measure.print_table(results, unit="image")
  if _PLOT.value:
    secs = [
        size * result.median.cpu_secs
        for size, result in zip(2 * sizes, results, strict=True)
    ]
    growth.plot(
        _PLOT.value,
        title="Building TFRecords, five captions per photograph",
        xlabel="photographs",
        sizes=sizes,
        cpu_secs=dict(
            zip(
                _PROGRAMS, (secs[: len(sizes)], secs[len(sizes) :]), strict=True
            )
        ),
    )


def make_images(folder: pathlib.Path, num_images: int) -> None:
  """Creates synthetic photographs with five captions each.

  Args:
    folder: The folder for `images` and `captions.json`.
    num_images: The number of photographs.
  """
  rng = np.random.default_rng(1)
  (folder / "images").mkdir()
  images, annotations = [], []
  for image_id in range(num_images):
    name = f"{image_id:06d}.jpg"
    (folder / "images" / name).write_bytes(photographs.jpeg(rng))
    images.append({"id": image_id, "file_name": name})
    annotations += [
        {"image_id": image_id, "caption": _caption(rng)}
        for _ in range(_CAPTIONS_PER_IMAGE)
    ]
  _write_captions(folder, images, annotations)


def repeat_images(
    folder: pathlib.Path, captions: dict, image_dir: str, num_images: int
) -> None:
  """Links photographs, repeatedly if there are too few.

  Args:
    folder: The folder for `images` and `captions.json`.
    captions: The content of a captions JSON file.
    image_dir: The folder of its photographs.
    num_images: The number of links.
  """
  (folder / "images").mkdir()
  texts: dict[int, list[str]] = {}
  for annotation in captions["annotations"]:
    texts.setdefault(annotation["image_id"], []).append(annotation["caption"])
  images, annotations = [], []
  for image_id in range(num_images):
    original = captions["images"][image_id % len(captions["images"])]
    name = f"{image_id:06d}.jpg"
    photo = pathlib.Path(image_dir, original["file_name"]).absolute()
    (folder / "images" / name).symlink_to(photo)
    images.append({"id": image_id, "file_name": name})
    annotations += [
        {"image_id": image_id, "caption": text}
        for text in texts.get(original["id"], ())
    ]
  _write_captions(folder, images, annotations)


def _caption(rng: np.random.Generator) -> str:
  words = list(rng.choice(_WORDS.split(), size=rng.integers(8, 14)))
  # One in ten has an ending that needs the full Treebank rules.
  end = rng.choice([".", "'s dog, ready."], p=[0.9, 0.1])
  return " ".join(words).capitalize() + end


def _write_captions(folder: pathlib.Path, images, annotations) -> None:
  content = {"images": images, "annotations": annotations}
  (folder / "captions.json").write_text(json.dumps(content), encoding="utf-8")
  (folder / "none.json").write_text('{"images": [], "annotations": []}')


def _variant(
    name: str, folder: pathlib.Path, num_images: int
) -> measure.Variant:
  """Returns the variant that builds the first photographs of a folder."""
  make_run = functools.partial(_make_run, name, str(folder), num_images)
  return measure.Variant(f"{name}, {num_images} photographs", make_run)


def _make_run(name: str, folder: str, num_images: int) -> measure.Run:
  data = pathlib.Path(folder)
  output = data / f"{name}-{num_images}"
  output.mkdir()
  content = json.loads((data / "captions.json").read_bytes())
  images = content["images"][:num_images]
  kept = {image["id"] for image in images}
  annotations = [a for a in content["annotations"] if a["image_id"] in kept]
  captions_file = output / "captions.json"
  captions_file.write_text(
      json.dumps({"images": images, "annotations": annotations})
  )
  command = [
      sys.executable,
      "-m",
      _PROGRAMS[name],
      f"--train_image_dir={data / 'images'}",
      f"--val_image_dir={data / 'images'}",
      f"--train_captions_file={captions_file}",
      f"--val_captions_file={data / 'none.json'}",
      f"--output_dir={output}",
      f"--word_counts_output_file={output / 'word_counts.txt'}",
      "--train_shards=8",
  ]

  def run() -> float:
    subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return num_images

  return run


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
