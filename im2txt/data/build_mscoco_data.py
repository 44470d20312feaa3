r"""Makes MSCOCO's images and captions into sharded TFRecords.

    build_mscoco_data \
      --train_image_dir=raw-data/train2014 \
      --val_image_dir=raw-data/val2014 \
      --train_captions_file=raw-data/annotations/captions_train2014.json \
      --val_captions_file=raw-data/annotations/captions_val2014.json \
      --output_dir=mscoco --word_counts_output_file=mscoco/word_counts.txt

MSCOCO has more validation images than validation needs, so most of them are
trained with:

    train  all of train and the first 85% of val   train-00000-of-00256, ...
    val    the next 5% of val                      val-00000-of-00004, ...
    test   the last 10% of val                     test-00000-of-00008, ...

A record is a SequenceExample of an image and one of its captions, so an image
with five captions is in five records. The vocabulary contains the words that
occur often enough in the captions of train. Images that are missing or not
complete JPEGs are left out and listed in OUTPUT_DIR/skipped_images.txt.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from absl import flags

from im2txt import common_flags
from im2txt.data import dataset_builder
from im2txt.data import worker_pool
from im2txt.runtime import atomic_files
from im2txt.runtime import program

_TRAIN_IMAGE_DIR = flags.DEFINE_string(
    "train_image_dir", "/tmp/train2014/", "Folder of the training images."
)
_VAL_IMAGE_DIR = flags.DEFINE_string(
    "val_image_dir", "/tmp/val2014", "Folder of the validation images."
)
_TRAIN_CAPTIONS_FILE = flags.DEFINE_string(
    "train_captions_file",
    "/tmp/captions_train2014.json",
    "Captions JSON of the training images.",
)
_VAL_CAPTIONS_FILE = flags.DEFINE_string(
    "val_captions_file",
    "/tmp/captions_val2014.json",
    "Captions JSON of the validation images.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "/tmp/", "Folder to write the TFRecords to."
)
_NUM_SHARDS = {
    name: flags.DEFINE_integer(
        f"{name}_shards",
        default,
        f"Number of TFRecord files of the data set {name}.",
        lower_bound=1,
    )
    for name, default in (("train", 256), ("val", 4), ("test", 8))
}
_START_WORD = flags.DEFINE_string(
    "start_word", "<S>", "Word put before each caption."
)
_END_WORD = flags.DEFINE_string(
    "end_word", "</S>", "Word put after each caption."
)
# Accepted because command lines for the original contain it.
_UNKNOWN_WORD = flags.DEFINE_string(
    "unknown_word",
    "<UNK>",
    "Not used. Words outside the vocabulary have the id that follows the last"
    " one, and are not in any file.",
)
_MIN_WORD_COUNT = flags.DEFINE_integer(
    "min_word_count",
    4,
    "Minimum number of occurrences in the captions of train for a word to be in"
    " the vocabulary.",
)
_WORD_COUNTS_OUTPUT_FILE = flags.DEFINE_string(
    "word_counts_output_file",
    "/tmp/word_counts.txt",
    "File to write the vocabulary to.",
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
_NUM_THREADS = flags.DEFINE_integer(
    "num_threads",
    8,
    "Number of processes that check images and write TFRecords. Each number of"
    " shards must be smaller than it or a multiple of it.",
    lower_bound=1,
)

_T = TypeVar("_T")


def main(argv: Sequence[str]) -> None:
  """Builds the vocabulary and the three data sets."""
  del argv
  output_dir = _OUTPUT_DIR.value
  Path(output_dir).mkdir(parents=True, exist_ok=True)
  _check_flags()
  # Before the workers start, which share it.
  program.import_tensorflow(with_keras=False)
  program.exit_on_sigterm()
  with (
      atomic_files.temporaries_removed(
          output_dir, *dataset_builder.OUTPUT_PATTERNS
      ),
      worker_pool.WorkerPool(_NUM_THREADS.value) as pool,
  ):
    builder = dataset_builder.DatasetBuilder(
        output_dir,
        num_threads=_NUM_THREADS.value,
        pool=pool,
        say=program.say,
        respect_exif_orientation=_RESPECT_EXIF_ORIENTATION.value,
    )
    mscoco_train, mscoco_val = (
        builder.load_images(
            captions_file.value,
            image_dir.value,
            start_word=_START_WORD.value,
            end_word=_END_WORD.value,
        )
        for captions_file, image_dir in (
            (_TRAIN_CAPTIONS_FILE, _TRAIN_IMAGE_DIR),
            (_VAL_CAPTIONS_FILE, _VAL_IMAGE_DIR),
        )
    )
    datasets = split(mscoco_train, mscoco_val)
    builder.wait_for_checks()
    word_ids = builder.create_vocabulary(
        datasets["train"],
        _WORD_COUNTS_OUTPUT_FILE.value,
        min_word_count=_MIN_WORD_COUNT.value,
    )
    for name, images in datasets.items():
      builder.write_dataset(name, images, _NUM_SHARDS[name].value, word_ids)


def split(train: Sequence[_T], val: Sequence[_T]) -> dict[str, list[_T]]:
  """Returns the data sets by name, from MSCOCO's train and val images."""
  train_end = int(0.85 * len(val))
  val_end = int(0.90 * len(val))
  return {
      "train": [*train, *val[:train_end]],
      "val": [*val[train_end:val_end]],
      "test": [*val[val_end:]],
  }


def _check_flags() -> None:
  for name, num_shards in _NUM_SHARDS.items():
    dataset_builder.check_num_shards(name, num_shards.value, _NUM_THREADS.value)
  for image_dir in (_TRAIN_IMAGE_DIR, _VAL_IMAGE_DIR):
    if not Path(image_dir.value).is_dir():
      raise FileNotFoundError(
          f"--{image_dir.name} is not a folder: {image_dir.value!r}."
      )
  word_counts_file = Path(_WORD_COUNTS_OUTPUT_FILE.value)
  if not word_counts_file.parent.is_dir():
    raise FileNotFoundError(
        f"The folder of --{_WORD_COUNTS_OUTPUT_FILE.name} is missing:"
        f" {word_counts_file}."
    )


def run() -> None:
  """Runs the program."""
  program.run(
      main, words=(_START_WORD.name, _END_WORD.name, _UNKNOWN_WORD.name)
  )


if __name__ == "__main__":
  run()
