"""Tests of reading records in all forms that users have."""

import functools
import io
import os

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import image_processing
from im2txt.ops import inputs

_CAPTION_IDS = [1, 0, 3, 2]
_PYTHON_2_WORDS = [b"<S>", b"a", b"caf\xc3\xa9", b"</S>"]
# What str() makes of these in Python 3, as old forks of the builder wrote them.
_PYTHON_3_WORDS = [b"b'<S>'", b"b'a'", b"b'caf\\xc3\\xa9'", b"b'</S>'"]


def _encoded(mode, colour, image_format):
  content = io.BytesIO()
  Image.new(mode, (8, 8), colour).save(content, image_format)
  return content.getvalue()


class RecordFormsTest(parameterized.TestCase, tf.test.TestCase):

  def _batch(self, image, words=(), image_format="jpeg", training=False):
    """Returns the batch of a file with one record."""
    example = tf.train.SequenceExample()
    example.context.feature["image/image_id"].int64_list.value.append(9)
    example.context.feature["image/data"].bytes_list.value.append(image)
    lists = example.feature_lists.feature_list
    for word in words:
      lists["image/caption"].feature.add().bytes_list.value.append(word)
    for word_id in _CAPTION_IDS:
      ids = lists["image/caption_ids"].feature.add().int64_list
      ids.value.append(word_id)
    path = os.path.join(self.create_tempdir().full_path, "records")
    with tf.io.TFRecordWriter(path) as writer:
      writer.write(example.SerializeToString())
    preprocess = functools.partial(
        image_processing.process_image,
        height=4,
        width=4,
        resize_height=6,
        resize_width=6,
        image_format=image_format,
    )
    if training:
      order = example_order.TrainingOrder(batch_size=1, seed=1)
      batches = inputs.training_batches([path], order, preprocess=preprocess)
    else:
      batches = inputs.evaluation_batches(
          [path], batch_size=1, preprocess=preprocess
      )
    return next(batches.as_numpy_iterator())

  @parameterized.product(
      words=(_PYTHON_2_WORDS, _PYTHON_3_WORDS, ()), training=(False, True)
  )
  def test_only_ids_matter_in_captions(self, words, training):
    image = _encoded("RGB", (255, 0, 0), "JPEG")
    batch = self._batch(image, words, training=training)
    self.assertAllEqual(batch.input_seqs, [[1, 0, 3]])
    self.assertAllEqual(batch.target_seqs, [[0, 3, 2]])
    self.assertAllEqual(batch.input_mask, [[1, 1, 1]])

  @parameterized.named_parameters(
      ("rgb_jpeg", "RGB", (255, 0, 0), "JPEG", (1, -1, -1)),
      ("grey_jpeg", "L", 255, "JPEG", (1, 1, 1)),
      # All cyan, no magenta, no yellow, no black.
      ("cmyk_jpeg", "CMYK", (255, 0, 0, 0), "JPEG", (-1, 1, 1)),
      ("rgb_png", "RGB", (0, 255, 0), "PNG", (-1, 1, -1)),
      ("grey_png", "L", 0, "PNG", (-1, -1, -1)),
      ("palette_png", "P", 0, "PNG", (-1, -1, -1)),
      ("png_with_alpha", "RGBA", (0, 0, 255, 9), "PNG", (-1, -1, 1)),
  )
  def test_images(self, mode, colour, image_format, expected):
    image = _encoded(mode, colour, image_format)
    batch = self._batch(image, image_format=image_format.lower())
    self.assertAllClose(
        batch.images, np.broadcast_to(expected, [1, 4, 4, 3]), atol=0.03
    )
    trained = self._batch(
        image, image_format=image_format.lower(), training=True
    )
    self.assertAllInRange(trained.images, -1.0, 1.0)


if __name__ == "__main__":
  tf.test.main()
