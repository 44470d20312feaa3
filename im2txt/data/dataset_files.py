"""What `build_caption_data` writes beside records and vocabulary.

- `captions_train.json`, ...: each split's captions in MSCOCO's form;
- `image_ids.txt`: a line `number<tab>file` for each image of the records;
- `dataset.json`: how the data were made: the tokenizer, the number of words,
  and the size of each split.
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
  """Raises a ValueError where old records would be taken for new ones.

  Args:
    output_dir: The folder.
    num_shards: The number of shards to write of each data set.
  """
  for name, number in num_shards.items():
    for path in Path(output_dir).glob(f"{name}-?????-of-?????"):
      if path.name[-5:] != f"{number:05d}":
        raise ValueError(
            f"{path} is of other records of {name}, which"
            f" --{name}_shards={number} would not replace. Delete these or"
            " give another --output_dir."
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
    image_dirs: Their folders. In a single folder, an image is called by its
      place there; in several, by its whole path.
    skipped: Paths of images to leave out.
    spoken: Makes of a caption what a model that knew it would say.
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
  """Writes how the data were made; see `input_data.dataset_facts`.

  Args:
    output_dir: The folder to write to.
    datasets: The images of each split that are in the records.
    tokenizer: The name of the tokenizer.
    word_ids: The ids of the vocabulary.

  Returns:
    What was written.
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
  """Returns the tokenizer that a vocabulary was made with, if known.

  Args:
    vocab_file: The path of the vocabulary.

  Returns:
    The name of the tokenizer; None if there is no `dataset.json` beside the
    vocabulary.

  Raises:
    ValueError: If that file names no tokenizer.
  """
  path = Path(vocab_file).with_name(_DESCRIPTION)
  if not path.is_file():
    return None
  try:
    return json.loads(path.read_bytes())["tokenizer"]
  except (KeyError, TypeError, ValueError):
    raise ValueError(f"{path} names no tokenizer.") from None


def _file_name(path: str, image_dirs: Sequence[str]) -> str:
  if len(image_dirs) == 1 and Path(path).is_relative_to(image_dirs[0]):
    return str(Path(path).relative_to(image_dirs[0]))
  return str(Path(path).absolute())


def _write(output_dir: str, name: str, text: str) -> None:
  with atomic_files.create(str(Path(output_dir, name))) as file:
    file.write(text.encode())
