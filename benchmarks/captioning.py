r"""Measures captioning of JPEG files in batches, against the encoder alone.

    python -m benchmarks.captioning \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg'

The difference is the cost of reading, decoding and the search, in float32 and
in bfloat16. "plain" represents the original: one image at a time, and one call
of the model per step of a search on the host.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

from absl import flags

from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "Number of images per batch.", lower_bound=1
)
_PRECISIONS = ("float32", "bfloat16")


def make_plain(inputs: captioning_inputs.Inputs) -> measure.Run:
  """Returns a round that captions one image at a time, step by step."""
  from im2txt import inference_wrapper
  from im2txt.batch_captioning import input_files
  from im2txt.checkpointing import checkpoint_paths
  from im2txt.checkpointing import saved_config
  from im2txt.inference_utils import caption_generator
  from im2txt.inference_utils import vocabulary

  config, _ = saved_config.load(checkpoint_paths.find(inputs.checkpoint))
  model = inference_wrapper.InferenceWrapper()
  model.build_graph_from_config(config, inputs.checkpoint)(None)
  generator = caption_generator.CaptionGenerator(
      model, vocabulary.Vocabulary(inputs.vocab_file)
  )

  def run() -> int:
    for file in inputs.files:
      generator.beam_search(None, input_files.read(file))
    return len(inputs.files)

  return run


def make_encoder(
    inputs: captioning_inputs.Inputs, precision: str, batch_size: int
) -> measure.Run:
  """Returns a round of the encoder alone, on decoded images."""
  import tensorflow as tf

  from im2txt.batch_captioning import input_files
  from im2txt.checkpointing import checkpoint_paths
  from im2txt.checkpointing import saved_config
  from im2txt.inference import inference_model

  path = checkpoint_paths.find(inputs.checkpoint)
  model = inference_model.InferenceModel(
      saved_config.load(path)[0], path, precision
  )
  images = tf.stack(
      [model.preprocess_image(input_files.read(file)) for file in inputs.files]
  )
  batches = [
      images[first : first + batch_size]
      for first in range(0, len(images), batch_size)
  ]
  del images

  def run() -> int:
    for batch in batches:
      model.encoder(batch)
    return len(inputs.files)

  return run


def make_captions(
    inputs: captioning_inputs.Inputs, precision: str
) -> Callable[..., int]:
  """Returns a function that captions the files as run_inference does."""
  from im2txt import captioning
  from im2txt.batch_captioning import input_files

  captioner = captioning.Captioner.load(
      inputs.checkpoint, inputs.vocab_file, precision=precision
  )

  def run(**options: Any) -> int:
    results = captioner.caption_each(
        inputs.files, read=input_files.read, **options
    )
    return len(list(results))

  return run


def make_captions_in_batches(
    inputs: captioning_inputs.Inputs, precision: str, batch_size: int
) -> measure.Run:
  """Returns a round that captions the files in batches."""
  return functools.partial(
      make_captions(inputs, precision), batch_size=batch_size
  )


def variants(
    inputs: captioning_inputs.Inputs, batch_size: int
) -> Sequence[measure.Variant]:
  """Returns the variants to compare."""
  made = [measure.Variant("plain", functools.partial(make_plain, inputs))]
  for precision in _PRECISIONS:
    for name, make in (
        ("encoder alone", make_encoder),
        ("JPEG to captions", make_captions_in_batches),
    ):
      made.append(
          measure.Variant(
              f"{name}, {precision}",
              functools.partial(make, inputs, precision, batch_size),
          )
      )
  return made


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table."""
  results = measure.compare(
      variants(inputs, BATCH_SIZE.value), rounds=captioning_inputs.ROUNDS.value
  )
  measure.print_table(results, unit="image")


if __name__ == "__main__":
  # Two batches, so that one is decoded while the other is captioned.
  flags.FLAGS.set_default("num_images", 64)
  captioning_inputs.run(main)
