r"""Builds TFRecords and a vocabulary from your own captions, in any language.

    bazel-bin/im2txt/build_caption_data \
      --captions_file=Flickr8k.token.txt --image_dir=Flicker8k_Dataset \
      --train_list=Flickr_8k.trainImages.txt \
      --val_list=Flickr_8k.devImages.txt --test_list=Flickr_8k.testImages.txt \
      --output_dir="${DATA_DIR}"

The captions may be in MSCOCO's captions JSON, Karpathy's dataset_*.json,
Flickr's token files, a CSV table, or JSON lines such as

    {"image": "1.jpg", "caption": "Ein Hund läuft."}

The splits are defined by the data, by --train_list etc., or by separate files
(--train_captions_file etc.); otherwise they are random. OUTPUT_DIR gets

    train-00000-of-00016, ...  records, each an image and one of its captions
    word_counts.txt            the vocabulary of the captions of train
    captions_train.json, ...   the captions of each split in MSCOCO's format, as
                               references to score a model's captions
    image_ids.txt              the id of each image file in the files above
    skipped_images.txt         images that are missing or broken
    dataset.json               the tokenizer and the sizes of the data set

Images in other formats than JPEG (PNG, WebP, GIF, BMP, TIFF, JPEG 2000, AVIF)
are rotated as their EXIF orientation requires, put on a white background, and
encoded as JPEGs. run_inference and the other programs process them in the same
way. To train a model further on these captions, give its vocabulary as
--vocab_file; the program extend_vocabulary adds words to it. For Chinese and
other scripts without spaces, use --tokenizer=characters; the model then
generates characters, separated by spaces.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app
from absl import flags

from im2txt import common_flags
from im2txt.data import caption_sources
from im2txt.data import caption_splits
from im2txt.data import dataset_builder
from im2txt.data import dataset_files
from im2txt.data import dataset_writer
from im2txt.data import tokenizer
from im2txt.data import word_counts
from im2txt.data import worker_pool
from im2txt.runtime import atomic_files
from im2txt.runtime import program

_CAPTIONS_FILE = flags.DEFINE_string(
    "captions_file", "", "File with the captions of all images."
)
_CAPTIONS_FILES = {
    name: flags.DEFINE_string(
        f"{name}_captions_file",
        "",
        f"File with the captions of {name}, instead of --captions_file.",
    )
    for name in caption_splits.NAMES
}
_FORMAT = flags.DEFINE_enum(
    "format",
    "auto",
    ["auto", *caption_sources.FORMS],
    "Format of the captions; auto recognizes it by the content. The columns or"
    " fields of csv and jsonl are named image and caption, or as in Flickr30k's"
    " results.csv; image_id and split are optional.",
)
_IMAGE_DIR = flags.DEFINE_list(
    "image_dir",
    [],
    "Folder of the images, or several folders, separated by commas.",
)
_LISTS = {
    name: flags.DEFINE_string(
        f"{name}_list",
        "",
        f"File with one image name of {name} per line. Images that are in no"
        " list are left out.",
    )
    for name in caption_splits.NAMES
}
_FRACTIONS = {
    name: flags.DEFINE_float(
        f"{name}_fraction",
        None,
        f"Fraction of the images, chosen at random, that is {name}; the rest is"
        " train. Defaults to 0.1 if nothing else defines the splits.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    for name in ("val", "test")
}
_SPLIT_SEED = flags.DEFINE_integer(
    "split_seed", 0, "Seed for --val_fraction and --test_fraction."
)
_RESTVAL_TRAINS = flags.DEFINE_boolean(
    "restval_trains",
    True,
    "Whether Karpathy's split restval is added to train. Otherwise it is left"
    " out.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "", "Folder to write to; created if it is missing."
)
_NUM_SHARDS = {
    name: flags.DEFINE_integer(
        f"{name}_shards",
        default,
        f"Number of TFRecord files of {name}.",
        lower_bound=1,
    )
    for name, default in (("train", 16), ("val", 4), ("test", 4))
}
_TOKENIZER = flags.DEFINE_enum(
    "tokenizer",
    "nltk",
    list(tokenizer.TOKENIZERS),
    "How to split captions into words. nltk: lower case, with punctuation marks"
    " as words, for languages with spaces. whitespace: at spaces only, for"
    " captions that are already tokenized. characters: each character is a"
    " word.",
)
_MIN_WORD_COUNT = flags.DEFINE_integer(
    "min_word_count",
    4,
    "Minimum number of occurrences in the captions of train for a word to be in"
    " the vocabulary.",
    lower_bound=1,
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt of a model to train further, instead of a new"
    " vocabulary.",
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
_ONLY_VOCABULARY = flags.DEFINE_boolean(
    "only_vocabulary",
    False,
    "Whether to write only word_counts.txt and dataset.json, for"
    " extend_vocabulary.",
)
_NUM_THREADS = flags.DEFINE_integer(
    "num_threads",
    8,
    "Number of processes that check images and write TFRecords. Each number of"
    " shards must be smaller than it or a multiple of it.",
    lower_bound=1,
)

_WORD_COUNTS = "word_counts.txt"


def copy_vocabulary(
    vocab_file: str,
    copy: str,
    datasets: Mapping[str, Sequence[dataset_writer.TokenizedImage]],
    say: Callable[[str], None],
) -> word_counts.WordIds:
  """Copies a vocabulary, and reports how many words it does not contain.

  Args:
    vocab_file: The path of the vocabulary.
    copy: The path of the copy.
    datasets: The images of each split.
    say: Called with each line of the report.

  Returns:
    The ids of the vocabulary.

  Raises:
    FileNotFoundError: If the vocabulary is missing.
    ValueError: If the vocabulary is invalid; see `vocabulary.Vocabulary`.
  """
  # Imported here, because it imports TensorFlow.
  from im2txt.inference_utils import vocabulary

  known = vocabulary.Vocabulary(vocab_file)
  content = Path(vocab_file).read_bytes()
  with atomic_files.create(copy) as file:
    file.write(content)
  for name, images in datasets.items():
    words = [w for image in images for words in image.captions for w in words]
    num_unknown = sum(word not in known.vocab for word in words)
    say(
        f"{num_unknown} of {len(words)} words of {name}"
        f" ({num_unknown / len(words):.1%}) are not in the vocabulary."
    )
  return word_counts.WordIds(known.vocab)


def main(argv: Sequence[str]) -> None:
  """Builds the data sets."""
  del argv
  _check_flags()
  datasets = _load()
  output_dir = _OUTPUT_DIR.value
  Path(output_dir).mkdir(parents=True, exist_ok=True)
  dataset_files.check_no_other_shards(
      output_dir, {name: _NUM_SHARDS[name].value for name in datasets}
  )
  if not _ONLY_VOCABULARY.value:
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
        encodes_jpegs=True,
        respect_exif_orientation=_RESPECT_EXIF_ORIENTATION.value,
    )
    if not _ONLY_VOCABULARY.value:
      builder.check_images(i for images in datasets.values() for i in images)
    tokenized = {
        name: builder.split_captions(
            images,
            name,
            split=_split,
        )
        for name, images in datasets.items()
    }
    if not _ONLY_VOCABULARY.value:
      builder.wait_for_checks()
    word_ids = _vocabulary(
        builder, {name: builder.kept(i) for name, i in tokenized.items()}
    )
    if not _ONLY_VOCABULARY.value:
      for name, images in tokenized.items():
        builder.write_dataset(name, images, _NUM_SHARDS[name].value, word_ids)
      dataset_files.write_captions(
          output_dir,
          datasets,
          image_dirs=_IMAGE_DIR.value,
          skipped=builder.skipped,
          spoken=_spoken,
      )
  description = dataset_files.write_description(
      output_dir,
      {name: builder.kept(images) for name, images in tokenized.items()},
      _TOKENIZER.value,
      word_ids,
  )
  _say_what_next(description)


def _say_what_next(description: Mapping[str, Any]) -> None:
  """Prints the size of the vocabulary and the command to train."""
  vocab_size = description["vocab_size"]
  program.say(
      f"The vocabulary has {vocab_size - 1} words. With the unknown word, a"
      f" model needs vocab_size={vocab_size}."
  )
  train = description["splits"].get("train")
  if _ONLY_VOCABULARY.value or not train:
    return
  pattern = f"train-?????-of-{_NUM_SHARDS['train'].value:05d}"
  program.say(
      f"There are {train['captions']} captions of {train['images']} images to"
      " train with:\n\n  bazel-bin/im2txt/train \\\n"
      f"    --input_file_pattern='{Path(_OUTPUT_DIR.value, pattern)}' \\\n"
      "    --inception_checkpoint_file=... --train_dir=...\n\n"
      f"A new run takes vocab_size={vocab_size} and"
      f" num_examples_per_epoch={train['captions']} from dataset.json."
  )


def _load() -> caption_splits.Datasets:
  """Returns the images of each split that have captions."""
  images = caption_splits.find_images(
      caption_splits.load(
          _given(_CAPTIONS_FILES) or _CAPTIONS_FILE.value,
          _FORMAT.value,
          lists=_given(_LISTS),
          fractions=_given(_FRACTIONS),
          seed=_SPLIT_SEED.value,
          restval_trains=_RESTVAL_TRAINS.value,
          say=program.say,
      ),
      _IMAGE_DIR.value,
      program.say,
  )
  datasets = caption_splits.images_with_captions(images, program.say)
  if "train" not in datasets and not _VOCAB_FILE.value:
    raise ValueError(
        "There are no images in train to build a vocabulary from. Without"
        " train, give --vocab_file."
    )
  return datasets


def _split(caption: str) -> list[str]:
  """Returns the words of a caption."""
  words = tokenizer.TOKENIZERS[_TOKENIZER.value](caption)
  if not {"<S>", "</S>"}.isdisjoint(words):
    raise ValueError(
        f"A caption contains <S> or </S>, which are reserved: {caption!r}."
    )
  return words


def _spoken(caption: str) -> str:
  """Returns a caption in the form in which a model generates it."""
  if _TOKENIZER.value == "characters":
    return " ".join(_split(caption))
  return caption


def _vocabulary(
    builder: dataset_builder.DatasetBuilder,
    datasets: Mapping[str, Sequence[dataset_writer.TokenizedImage]],
) -> word_counts.WordIds:
  """Writes the vocabulary, either a new one or a copy of the given one."""
  path = str(Path(_OUTPUT_DIR.value, _WORD_COUNTS))
  if not _VOCAB_FILE.value:
    return builder.create_vocabulary(
        datasets["train"], path, min_word_count=_MIN_WORD_COUNT.value
    )
  return copy_vocabulary(_VOCAB_FILE.value, path, datasets, program.say)


def _check_flags() -> None:
  """Checks that no flag is missing and that the flags can be combined."""
  program.require(_OUTPUT_DIR, _IMAGE_DIR)
  by_file = _given(_CAPTIONS_FILES)
  if not by_file:
    program.require(_CAPTIONS_FILE)
  ways = {
      "--captions_file": bool(_CAPTIONS_FILE.value),
      "--train_captions_file etc.": bool(by_file),
      "--train_list etc.": bool(_given(_LISTS)),
      "--val_fraction etc.": bool(_given(_FRACTIONS)),
  }
  given = [way for way, is_given in ways.items() if is_given]
  if len(given) > 1 + (given[0] == "--captions_file" and not by_file):
    raise app.UsageError(f"{' and '.join(given)} can't be combined.")
  for name, num_shards in _NUM_SHARDS.items():
    dataset_builder.check_num_shards(name, num_shards.value, _NUM_THREADS.value)
  if _VOCAB_FILE.value:
    made_with = dataset_files.tokenizer_of(_VOCAB_FILE.value)
    if made_with not in (None, _TOKENIZER.value):
      raise app.UsageError(
          f"--vocab_file was built with --tokenizer={made_with}."
          f" Got: {_TOKENIZER.value}."
      )
  for image_dir in _IMAGE_DIR.value:
    if not Path(image_dir).is_dir():
      raise FileNotFoundError(f"--image_dir is not a folder: {image_dir!r}.")


def _given(by_split: Mapping[str, flags.FlagHolder]) -> dict[str, Any]:
  """Returns the values of the given flags, by split."""
  return {
      name: flag.value
      for name, flag in by_split.items()
      if flag.value not in (None, "")
  }


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
