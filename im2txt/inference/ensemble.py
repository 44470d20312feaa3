"""An ensemble: several models whose predictions are averaged.

The distribution of the next word is the mean of the members' distributions, as
in Vinyals et al. (arXiv 1609.06647, section 5):

    images --> encoder --> member 1's state --> probabilities --+
                  |                                             +--> mean
                  +------> member 2's state --> probabilities --+

The state of a caption is the concatenation of the members' states. Members with
the same encoder, such as all models trained on a fixed encoder, share it. It is
in memory once and encodes each image once, so an ensemble costs hardly more per
image than one model.
"""

from collections.abc import Sequence
import hashlib

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoints
from im2txt.inference import inference_model
from im2txt.ops import folded_encoder


class Ensemble:
  """A `CaptionModel` that averages the probabilities of several models.

  Attributes:
    vocab_size: Number of words in the vocabulary of each member.
    members: The models.
  """

  def __init__(self, members: Sequence[inference_model.InferenceModel]):
    """Creates an ensemble of loaded models; see also `load`.

    Args:
      members: One or more models, trained with the same vocabulary and the
        same image preprocessing.

    Raises:
      ValueError: If the models do not fit each other, or the list is empty.
    """
    if not members:
      raise ValueError("An ensemble has at least one member. Got none.")
    self.members = list(members)
    self.vocab_size = members[0].vocab_size
    self._state_sizes = [networks.state_size(m.config) for m in members]
    for number, member in enumerate(members[1:], 2):
      _check_fits(members[0], member, number)

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """See `InferenceModel.preprocess_image`, which all members share."""
    return self.members[0].preprocess_image(encoded_image)

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """Returns the members' initial decoder states.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3].

    Returns:
      A float32 Tensor of shape [batch_size, sum of the state sizes].
    """
    distinct = {id(member.encoder): member.encoder for member in self.members}
    features = {key: encoder(images) for key, encoder in distinct.items()}
    states = [
        m.decoder.initial_state(features[id(m.encoder)]) for m in self.members
    ]
    return tf.concat(states, axis=1)

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Feeds a word to each member and averages their predictions.

    Args:
      input_ids: An integer Tensor of shape [batch_size].
      state: A float32 Tensor of shape [batch_size, sum of the state sizes].

    Returns:
      The mean of the members' probabilities of the next word, a float32 Tensor
      of shape [batch_size, vocab_size], and the new state, of the shape of
      `state`.
    """
    states = tf.split(state, self._state_sizes, axis=1)
    probabilities, new_states = zip(
        *(
            member.decode_step(input_ids, member_state)
            for member, member_state in zip(self.members, states, strict=True)
        ),
        strict=True,
    )
    mean = tf.add_n(probabilities) / len(self.members)
    return mean, tf.concat(new_states, axis=1)


def load(
    configs: Sequence[configuration.ModelConfig],
    paths: Sequence[str],
    precision: str = "float32",
) -> Ensemble:
  """Loads an ensemble, with each distinct encoder once.

  Args:
    configs: The members' configurations.
    paths: The paths of the members' checkpoints, without suffix.
    precision: Data type in which the encoders compute: "float32" or "bfloat16".

  Returns:
    The ensemble.

  Raises:
    FileNotFoundError: If a checkpoint does not exist.
    ValueError: If a checkpoint is damaged or does not match its configuration,
      or the members do not match each other.
  """
  distinct: dict[tuple, folded_encoder.FoldedEncoder] = {}
  members = []
  for config, checkpoint in zip(configs, paths, strict=True):
    key = (
        config.image_height,
        config.image_width,
        config.use_ema,
        _digest(checkpoint),
    )
    member = inference_model.InferenceModel(
        config, checkpoint, precision, encoder=distinct.get(key)
    )
    distinct[key] = member.encoder
    members.append(member)
  logging.info(
      "Ensemble of %d models with %d different encoders.",
      len(members),
      len(distinct),
  )
  return Ensemble(members)


def _digest(checkpoint: str) -> str:
  """Returns a digest of the encoder's values in a checkpoint."""
  reader = checkpoints.Reader(checkpoint)
  digest = hashlib.sha256()
  for name in sorted(reader.shapes):
    if name.startswith(checkpoint_names.ENCODERS):
      digest.update(name.encode())
      digest.update(reader.value(name).tobytes())
  return digest.hexdigest()


def _check_fits(
    first: inference_model.InferenceModel,
    other: inference_model.InferenceModel,
    number: int,
) -> None:
  """Raises a ValueError if a member does not match the first one."""
  fields = {
      "vocab_size": first.vocab_size,
      **networks.preprocessing_fields(first.config),
  }
  others = {
      "vocab_size": other.vocab_size,
      **networks.preprocessing_fields(other.config),
  }
  for name, value in fields.items():
    if others[name] != value:
      raise ValueError(
          "The models of an ensemble must have the same vocabulary and images"
          f" of the same size, but model 1 has {name}={value} and model"
          f" {number} has {name}={others[name]}."
      )
