"""Writes captions in the formats that the docs refer to."""

import json
from pathlib import Path
import shutil

from im2txt.data import caption_sources

# Names of image folders in the docs.
_IMAGE_DIRS = ("train2014", "val2014", "train2017", "val2017")
_FLICKR_DIR = "Flicker8k_Dataset"
# Words that are not in the model's vocabulary.
_NEW_WORDS = "seen from afar"


def write(home: Path, folder: Path) -> None:
  """Writes the files that the commands of g3doc/data.md read.

  Args:
    home: The reader's home folder, with a few images in its folder `pictures`.
    folder: The folder with captions_train.json, captions_val.json and images.
  """
  images = {}
  for name in ("train", "val"):
    path = folder / f"captions_{name}.json"
    shutil.copy(path, home / f"captions_{name}2017.json")
    images[name] = caption_sources.load_captions(str(path), "")
  for name in (*_IMAGE_DIRS, _FLICKR_DIR):
    (home / name).symlink_to(folder / "images")
  half = len(images["val"]) // 2
  images["test"] = images["val"][half:]
  images["val"] = images["val"][:half]
  _write_karpathy(home, images)
  _write_flickr(home, images)
  names = {path.name for path in (home / "pictures").iterdir()}
  listed = [{"id": i, "file_name": name} for i, name in enumerate(names)]
  (home / "pictures.json").write_text(json.dumps({"images": listed}))
  rows = [
      f'{image.path},"{caption} {_NEW_WORDS}"\n'
      for image in images["train"] + images["val"] + images["test"]
      if image.path in names
      for caption in image.captions
  ]
  for name in ("captions.csv", "mine.csv"):
    (home / name).write_text("image,caption\n" + "".join(rows))


def _write_karpathy(home: Path, images) -> None:
  entries = [
      {
          "filename": image.path,
          "filepath": "val2014",
          "cocoid": image.image_id,
          "sentences": [{"raw": caption} for caption in image.captions],
          "split": split,
      }
      for split, part in images.items()
      for image in part
  ]
  (home / "dataset_coco.json").write_text(json.dumps({"images": entries}))


def _write_flickr(home: Path, images) -> None:
  lists = {"train": "train", "val": "dev", "test": "test"}
  lines = []
  for split, part in images.items():
    names = "".join(f"{image.path}\n" for image in part)
    (home / f"Flickr_8k.{lists[split]}Images.txt").write_text(names)
    lines += [
        f"{image.path}#{i}\t{caption}\n"
        for image in part
        for i, caption in enumerate(image.captions)
    ]
  (home / "Flickr8k.token.txt").write_text("".join(lines))
