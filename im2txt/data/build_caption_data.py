r"""Makes TFRecords and a vocabulary of your own captions, in any language.

    bazel-bin/im2txt/build_caption_data \
      --captions_file=Flickr8k.token.txt --image_dir=Flicker8k_Dataset \
      --train_list=Flickr_8k.trainImages.txt \
      --val_list=Flickr_8k.devImages.txt --test_list=Flickr_8k.testImages.txt \
      --output_dir="${DATA_DIR}"

Captions may come as MSCOCO's captions JSON, Karpathy's dataset_*.json, Flickr's
token files, a CSV table, or JSON lines such as

    {"image": "1.jpg", "caption": "Ein Hund läuft."}

What is in which split is said by the data, by --train_list etc., by separate
files (--train_captions_file etc.), or else by chance. OUTPUT_DIR gets

    train-00000-of-00016, ...  records, an image and one of its captions each
    word_counts.txt            the vocabulary, of the captions of train
    captions_train.json, ...   each split's captions in MSCOCO's form, to score
                               a model's captions against
    image_ids.txt              the number of each image file in these
    skipped_images.txt         images that are missing or broken
    dataset.json               how the data were made

Images in other formats (PNG, WebP, GIF, BMP, TIFF, JPEG 2000, AVIF) are turned
upright as their EXIF says, put on white, and encoded as JPEGs; run_inference
and the other programs see them in the same way. To train a model further on
these captions, give its vocabulary as --vocab_file; the program
extend_vocabulary adds words to it. Chinese and other scripts without spaces go
with --tokenizer=characters; the model then says characters, parted by spaces.
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
        f"Instead of --captions_file: file with the captions of {name}.",
    )
    for name in caption_splits.NAMES
}
_FORMAT = flags.DEFINE_enum(
    "format",
    "auto",
    ["auto", *caption_sources.FORMS],
    "The form of the captions; auto tells by the content. The columns or fields"
    " of csv and jsonl are called image and caption, or as in Flickr30k's"
    " results.csv; image_id and split may be among them.",
)
_IMAGE_DIR = flags.DEFINE_list(
    "image_dir",
    [],
    "Folder of the images, or several, separated by commas, to look in.",
)
_LISTS = {
    name: flags.DEFINE_string(
        f"{name}_list",
        "",
        f"File with the name of an image of {name} on each line. Images in no"
        " list are left out.",
    )
    for name in caption_splits.NAMES
}
_FRACTIONS = {
    name: flags.DEFINE_float(
        f"{name}_fraction",
        None,
        f"What part of the images, drawn by chance, is {name}; the rest trains."
        " By default 0.1 if nothing else says what is in which split.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    for name in ("val", "test")
}
_SPLIT_SEED = flags.DEFINE_integer(
    "split_seed", 0, "Seed of the draw of --val_fraction and --test_fraction."
)
_RESTVAL_TRAINS = flags.DEFINE_boolean(
    "restval_trains",
    True,
    "Whether Karpathy's split restval is a part of train, or else left out.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "", "Folder to write to; made if it is missing."
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
    "How captions become words. nltk: in lower case, punctuation marks being"
    " words too; for languages with spaces. whitespace: as they stand, parted"
    " by spaces; for captions that another program has split. characters: each"
    " one is a word.",
)
_MIN_WORD_COUNT = flags.DEFINE_integer(
    "min_word_count",
    4,
    "How often a word must occur in the captions of train to be in the"
    " vocabulary.",
    lower_bound=1,
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt of a model to go on with, instead of a new one.",
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
_ONLY_VOCABULARY = flags.DEFINE_boolean(
    "only_vocabulary",
    False,
    "Whether to write word_counts.txt and dataset.json alone, for"
    " extend_vocabulary.",
)
_NUM_THREADS = flags.DEFINE_integer(
    "num_threads",
    8,
    "Number of processes that check images and write TFRecords. Each number of"
    " shards must be smaller or a multiple of it.",
    lower_bound=1,
)

_WORD_COUNTS = "word_counts.txt"


def copy_vocabulary(
    vocab_file: str,
    copy: str,
    datasets: Mapping[str, Sequence[dataset_writer.TokenizedImage]],
    say: Callable[[str], None],
) -> word_counts.WordIds:
  """Copies a vocabulary, and says how much of the captions it knows.

  Args:
    vocab_file: The vocabulary.
    copy: Where to copy it to.
    datasets: The images of each split.
    say: Called with each line of the report.

  Returns:
    The ids of the vocabulary.

  Raises:
    FileNotFoundError: If there is no such vocabulary.
    ValueError: If it can't be used; see `vocabulary.Vocabulary`.
  """
  # Here, so that nobody waits for TensorFlow who has no need of it.
  from im2txt.inference_utils import vocabulary

  known = vocabulary.Vocabulary(vocab_file)
  content = Path(vocab_file).read_bytes()
  with atomic_files.create(copy) as file:
    file.write(content)
  for name, images in datasets.items():
    words = [w for image in images for said in image.captions for w in said]
    num_unknown = sum(word not in known.vocab for word in words)
    say(
        f"{num_unknown} of {len(words)} words of {name}"
        f" ({num_unknown / len(words):.1%}) are not in the vocabulary."
    )
  return word_counts.WordIds(known.vocab)


def main(argv: Sequence[str]) -> None:
  """Builds the data sets of the flags."""
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
  """Prints the size of the vocabulary, and what to train with."""
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
        "There is no image to train with, so no vocabulary either. Without"
        " train, give --vocab_file."
    )
  return datasets


def _split(caption: str) -> list[str]:
  """Returns the words of a caption."""
  words = tokenizer.TOKENIZERS[_TOKENIZER.value](caption)
  if not {"<S>", "</S>"}.isdisjoint(words):
    raise ValueError(
        f"A caption holds <S> or </S>, which are put around it: {caption!r}."
    )
  return words


def _spoken(caption: str) -> str:
  """Returns a caption as a model would generate it."""
  if _TOKENIZER.value == "characters":
    return " ".join(_split(caption))
  return caption


def _vocabulary(
    builder: dataset_builder.DatasetBuilder,
    datasets: Mapping[str, Sequence[dataset_writer.TokenizedImage]],
) -> word_counts.WordIds:
  """Makes the vocabulary, or takes the given one; writes it either way."""
  path = str(Path(_OUTPUT_DIR.value, _WORD_COUNTS))
  if not _VOCAB_FILE.value:
    return builder.create_vocabulary(
        datasets["train"], path, min_word_count=_MIN_WORD_COUNT.value
    )
  return copy_vocabulary(_VOCAB_FILE.value, path, datasets, program.say)


def _check_flags() -> None:
  """Finds flags that are missing or don't go together."""
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
    raise app.UsageError(f"These don't go together: {' and '.join(given)}.")
  for name, num_shards in _NUM_SHARDS.items():
    dataset_builder.check_num_shards(name, num_shards.value, _NUM_THREADS.value)
  if _VOCAB_FILE.value:
    made_with = dataset_files.tokenizer_of(_VOCAB_FILE.value)
    if made_with not in (None, _TOKENIZER.value):
      raise app.UsageError(
          f"The data of --vocab_file were made with --tokenizer={made_with}."
          f" Got: {_TOKENIZER.value}."
      )
  for image_dir in _IMAGE_DIR.value:
    if not Path(image_dir).is_dir():
      raise FileNotFoundError(f"--image_dir is no folder: {image_dir!r}.")


def _given(by_split: Mapping[str, flags.FlagHolder]) -> dict[str, Any]:
  """Returns the values of the flags that were given, by split."""
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
