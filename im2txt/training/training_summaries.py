"""Summaries of a training run for TensorBoard, under the original's tags."""

from collections.abc import Iterator
import contextlib

import numpy as np
from tensorboard.plugins.histogram import summary_v2 as histogram_summary
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.distributed import distribution
from im2txt.ops import image_inputs
from im2txt.ops import image_processing
from im2txt.ops import inputs
from im2txt.runtime import atomic_files
from im2txt.training import trainers

# Prefix of the layers whose fraction of zeros is written.
_CONVOLUTION = "Conv2d_"

# Number of images whose activations are written: millions of values each.
_NUM_ACTIVATION_IMAGES = 4


class SummaryWriter:
  """Writes scalars, histograms and images of a run to an events file."""

  def __init__(self, folder: str, model: show_and_tell_model.ShowAndTellModel):
    """Opens an events file.

    Args:
      folder: Folder of the file.
      model: The model to train or evaluate.
    """
    self._folder = folder
    with atomic_files.errors_name(folder):
      self._writer = tf.summary.create_file_writer(folder)
    self._model = model
    # On this process' first replica, so that no other process takes part.
    strategy = tf.distribute.get_strategy()

    def end_points(images: tf.Tensor):
      _, results = strategy.run(
          model.encoder.features_and_end_points, args=(images,)
      )
      return {
          name: tf.cast(distribution.local(strategy, result), tf.float32)
          for name, result in results.items()
      }

    self._end_points = tf.function(end_points, autograph=False)

  def close(self) -> None:
    """Flushes and closes the file."""
    with atomic_files.errors_name(self._folder):
      self._writer.close()

  @contextlib.contextmanager
  def _writing(self, step: int) -> Iterator[None]:
    """Opens a context to write summaries of a step; errors name the folder."""
    with atomic_files.errors_name(self._folder):
      with self._writer.as_default(step):
        yield
      self._writer.flush()

  def write_scalars(self, scalars: dict[str, float], *, step: int) -> None:
    """Writes scalars by tag."""
    with self._writing(step):
      for tag, value in scalars.items():
        tf.summary.scalar(tag, value)

  def write_text(self, tag: str, markdown: str, *, step: int) -> None:
    """Writes a text in Markdown."""
    with self._writing(step):
      tf.summary.text(tag, markdown)

  def write_picture(self, tag: str, picture: np.ndarray, *, step: int) -> None:
    """Writes a picture, a uint8 array of shape [1, height, width, 3]."""
    with self._writing(step):
      tf.summary.image(tag, picture)

  def write_metrics(
      self,
      metrics: trainers.StepMetrics,
      *,
      steps_per_second: float,
      step: int,
  ) -> None:
    """Writes the scalars of a training step."""
    norms = "OptimizeLoss/global_norm"
    scalars = {
        "losses/batch_loss": metrics.batch_loss,
        "losses/total_loss": metrics.total_loss,
        "OptimizeLoss/loss": metrics.total_loss,
        f"{norms}/gradient_norm": metrics.gradient_norm,
        f"{norms}/clipped_gradient_norm": metrics.clipped_gradient_norm,
        "OptimizeLoss/learning_rate": metrics.learning_rate,
        **metrics.measures,
    }
    if steps_per_second:
      scalars["global_step/sec"] = steps_per_second
      # Unlike steps, examples compare between batch sizes.
      scalars["examples/sec"] = steps_per_second * self._model.config.batch_size
    self.write_scalars(scalars, step=step)

  def write_batch(
      self, batch: inputs.Batch | image_inputs.ImageBatch, *, step: int
  ) -> None:
    """Writes caption lengths, an image and activations for a batch."""
    with self._writing(step):
      if isinstance(batch, inputs.Batch):
        _write_lengths(tf.reduce_sum(batch.input_mask, axis=1))
      if batch.images.shape.rank == 4:
        _write_image("final_image", (batch.images[0] + 1) / 2)
        self._write_activations(batch.images[:_NUM_ACTIVATION_IMAGES])

  def write_parameters(self, *, step: int) -> None:
    """Writes a histogram of each variable that is trained."""
    with self._writing(step):
      for name, variable in self._model.trainable_variables_by_name().items():
        _write_histogram(f"parameters/{name}", variable)

  def write_first_image(
      self, data: caption_data.CaptionData, *, step: int
  ) -> None:
    """Writes the first image of the files, original and resized.

    Args:
      data: The files; for cached features nothing is written.
      step: The global step.

    Raises:
      ValueError: If the image is not valid; the message names its record.
    """
    if data.are_features:
      return
    config = self._model.config

    @tf.autograph.experimental.do_not_convert
    def decode(serialized: tf.Tensor) -> tf.Tensor:
      encoded_image, _ = inputs.parse_sequence_example(
          serialized,
          image_feature=config.image_feature_name,
          caption_feature=config.caption_feature_name,
      )
      return image_processing.decode_image(encoded_image, config.image_format)

    # Some files, or all of them, may be empty.
    first = tf.data.TFRecordDataset(list(data.files)).take(1).map(decode)
    image = next(data.explained(first), None)
    if image is None:
      return
    with self._writing(step):
      _write_image("original_image", image)
      if config.resize_height and config.resize_width:
        size = (config.resize_height, config.resize_width)
        pixels = tf.image.convert_image_dtype(image, tf.float32)
        _write_image("resized_image", tf.image.resize(pixels, size))

  def _write_activations(self, images: tf.Tensor) -> None:
    """Writes 18 histograms and 5 scalars of the encoder in inference mode."""
    for name, activations in self._end_points(images).items():
      tag = f"InceptionV3/InceptionV3/{name}"
      _write_histogram(f"{tag}/activation", activations)
      if name.startswith(_CONVOLUTION):
        tf.summary.scalar(f"{tag}/Relu/zeros", tf.nn.zero_fraction(activations))


def _write_lengths(lengths: tf.Tensor) -> None:
  tf.summary.scalar("caption_length/batch_min", tf.reduce_min(lengths))
  tf.summary.scalar("caption_length/batch_max", tf.reduce_max(lengths))
  tf.summary.scalar(
      "caption_length/batch_mean", tf.reduce_mean(tf.cast(lengths, tf.float32))
  )


def _write_histogram(tag: str, values: tf.Tensor) -> None:
  # With NumPy, since `tf.summary.histogram` takes 240 bytes per value.
  summary = histogram_summary.histogram_pb(tag, values.numpy())
  tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def _write_image(tag: str, image: tf.Tensor) -> None:
  # TensorFlow 1 numbered the images of a summary.
  tf.summary.image(f"{tag}/image/0", image[tf.newaxis])
