"""Writes the files of `build_caption_data` beside records and vocabulary.

- `captions_train.json` etc.: the captions of each split in MSCOCO's format;
- `image_ids.txt`: a line `number<tab>file` per image in the records;
- `dataset.json`: the tokenizer, the number of words, and the size of each
  split.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any

from im2txt.data import caption_sources
from im2txt.data import caption_splits
from im2txt.data import dataset_writer
from im2txt.data import word_counts
from im2txt.runtime import atomic_files

_DESCRIPTION = "dataset.json"


def check_no_other_shards(
    output_dir: str, num_shards: Mapping[str, int]
) -> None:
  """Checks that no shards of an earlier build remain beside the new ones.

  Args:
    output_dir: The folder to write to.
    num_shards: The number of shards of each data set.

  Raises:
    ValueError: If a data set has shards of another number of shards.
  """
  for name, number in num_shards.items():
    for path in Path(output_dir).glob(f"{name}-?????-of-?????"):
      if path.name[-5:] != f"{number:05d}":
        raise ValueError(
            f"{path} is a shard of an earlier build of {name}, which"
            f" --{name}_shards={number} would not replace. Delete those shards"
            " or choose another --output_dir."
        )


def write_captions(
    output_dir: str,
    datasets: caption_splits.Datasets,
    *,
    image_dirs: Sequence[str],
    skipped: Collection[str],
    spoken: Callable[[str], str],
) -> None:
  """Writes the captions of the images that are in the records.

  Args:
    output_dir: The folder to write to.
    datasets: The images of each split.
    image_dirs: The folders of the images. With a single folder, the file names
      are relative to it; with several, they are absolute paths.
    skipped: Paths of images to leave out.
    spoken: Function from a caption to the form in which a model generates it.
  """
  lines = []
  for name, images in datasets.items():
    written = [
        image._replace(
            path=_file_name(image.path, image_dirs),
            captions=[spoken(caption) for caption in image.captions],
        )
        for image in images
        if image.path not in skipped
    ]
    lines += [f"{image.image_id}\t{image.path}\n" for image in written]
    content = caption_sources.content_of(written)
    _write(
        output_dir,
        f"captions_{name}.json",
        json.dumps(content, ensure_ascii=False),
    )
  _write(output_dir, "image_ids.txt", "".join(lines))


def write_description(
    output_dir: str,
    datasets: Mapping[str, Sequence[dataset_writer.TokenizedImage]],
    tokenizer: str,
    word_ids: word_counts.WordIds,
) -> dict[str, Any]:
  """Writes the metadata that `dataset_facts` reads.

  Args:
    output_dir: The folder to write to.
    datasets: The images of each split that are in the records.
    tokenizer: The name of the tokenizer.
    word_ids: The ids of the vocabulary.

  Returns:
    The metadata.
  """
  description = {
      "tokenizer": tokenizer,
      "unicode_form": "NFC",
      "vocab_size": word_ids.size,
      "splits": {
          name: {
              "images": len(images),
              "captions": sum(len(image.captions) for image in images),
              "largest_word_id": max(
                  (
                      max(word_ids.of(caption))
                      for image in images
                      for caption in image.captions
                  ),
                  default=0,
              ),
          }
          for name, images in datasets.items()
      },
  }
  _write(output_dir, _DESCRIPTION, json.dumps(description, indent=2) + "\n")
  return description


def tokenizer_of(vocab_file: str) -> str | None:
  """Returns the tokenizer that a vocabulary was built with, if known.

  Args:
    vocab_file: The path of the vocabulary.

  Returns:
    The name of the tokenizer; None if there is no `dataset.json` beside the
    vocabulary.

  Raises:
    ValueError: If `dataset.json` does not contain the name of a tokenizer.
  """
  path = Path(vocab_file).with_name(_DESCRIPTION)
  if not path.is_file():
    return None
  try:
    return json.loads(path.read_bytes())["tokenizer"]
  except (KeyError, TypeError, ValueError):
    raise ValueError(f"{path} does not name a tokenizer.") from None


def _file_name(path: str, image_dirs: Sequence[str]) -> str:
  if len(image_dirs) == 1 and Path(path).is_relative_to(image_dirs[0]):
    return str(Path(path).relative_to(image_dirs[0]))
  return str(Path(path).absolute())


def _write(output_dir: str, name: str, text: str) -> None:
  with atomic_files.create(str(Path(output_dir, name))) as file:
    file.write(text.encode())
