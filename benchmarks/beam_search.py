r"""Measures beam search: in the graph and in batches, against step by step.

    python -m benchmarks.beam_search \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg'

The encoder is not included. "plain" represents the original: one image at a
time, one call of the model per step, sorting of all words on the host, and no
early end unless all captions are finished.
"""

from collections.abc import Callable
import functools
from typing import Any

from absl import flags
import numpy as np

from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 3, "Beam size of the search.", lower_bound=1
)


class _Steps:
  """A model for the reference search, with precomputed initial states."""

  def __init__(self, decode_step: Callable):
    self._decode_step = decode_step

  def feed_image(self, sess: Any, state: Any) -> np.ndarray:
    """Returns the precomputed state, in the shape that the search expects."""
    del sess
    return state[np.newaxis]

  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, None]:
    """Extends captions by one word; see `caption_generator.Model`."""
    del sess
    softmax, states = self._decode_step(input_feed, state_feed)
    return softmax.numpy(), states.numpy(), None


def make_plain(inputs: captioning_inputs.Inputs, beam_size: int) -> measure.Run:
  """Returns a round of searches on the host, one image at a time."""
  import tensorflow as tf

  from im2txt.inference_utils import caption_generator

  captioner, states = _captioner_and_states(inputs)
  decode_step = tf.function(
      captioner.model.decode_step,
      input_signature=[
          tf.TensorSpec([None], tf.int64),
          tf.TensorSpec([None, states.shape[1]]),
      ],
      autograph=False,
  )
  generator = caption_generator.CaptionGenerator(
      _Steps(decode_step), captioner.vocab, beam_size
  )

  def run() -> int:
    for state in states:
      generator.beam_search(None, state)
    return len(states)

  return run


def make_in_graph(
    inputs: captioning_inputs.Inputs, beam_size: int, batch_size: int
) -> measure.Run:
  """Returns a round of searches in the graph, one batch at a time."""
  import tensorflow as tf

  from im2txt.ops import beam_search

  captioner, states = _captioner_and_states(inputs)
  search = tf.function(
      functools.partial(
          beam_search.beam_search,
          captioner.model.decode_step,
          start_id=captioner.vocab.start_id,
          end_id=captioner.vocab.end_id,
          beam_size=beam_size,
      ),
      input_signature=[tf.TensorSpec([None, states.shape[1]])],
      autograph=False,
  )

  def run() -> int:
    for first in range(0, len(states), batch_size):
      search(tf.constant(states[first : first + batch_size]))
    return len(states)

  return run


def _captioner_and_states(
    inputs: captioning_inputs.Inputs,
) -> tuple[Any, np.ndarray]:
  import tensorflow as tf

  from im2txt import captioning
  from im2txt.batch_captioning import input_files

  captioner = captioning.Captioner.load(inputs.checkpoint, inputs.vocab_file)
  model = captioner.model
  images = [model.preprocess_image(input_files.read(f)) for f in inputs.files]
  encode = tf.function(model.initial_states, autograph=False)
  return captioner, np.concatenate([encode(i[tf.newaxis]) for i in images])


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table."""
  beam_size, batch_size = _BEAM_SIZE.value, len(inputs.files)
  variants = [
      measure.Variant(
          "plain", functools.partial(make_plain, inputs, beam_size)
      ),
      measure.Variant(
          "in the graph, one image at a time",
          functools.partial(make_in_graph, inputs, beam_size, 1),
      ),
      measure.Variant(
          f"in the graph, batches of {batch_size}",
          functools.partial(make_in_graph, inputs, beam_size, batch_size),
      ),
  ]
  results = measure.compare(variants, rounds=captioning_inputs.ROUNDS.value)
  measure.print_table(results, unit="image")


if __name__ == "__main__":
  captioning_inputs.run(main)
