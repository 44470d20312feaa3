"""Every form of a model gives the same captions of the same pictures."""

import os
import warnings
import zipfile

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt.export import frozen_graph_export
from im2txt.export import saved_model_export
from im2txt.export import tflite_model
from im2txt.inference import ensemble
from im2txt.inference import frozen_graph
from im2txt.inference import inference_model
from im2txt.inference import saved_model
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_NUM_IMAGES = 5
_SEARCH_OPTIONS = {"beam_size": 3, "max_caption_length": 8}


class ConformanceTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    model = tiny_captioning.make_model()
    checkpoint = tiny_captioning.save(model, folder)
    paths = {
        "checkpoint": checkpoint,
        "ensemble": [checkpoint, checkpoint],
        "frozen_graph": os.path.join(folder, "model.pb"),
        "saved_model": os.path.join(folder, "exported"),
    }
    exported = inference_model.InferenceModel(
        tiny_captioning.CONFIG, checkpoint, as_variables=True
    )
    frozen_graph_export.write(
        frozen_graph_export.build(model), paths["frozen_graph"]
    )
    saved_model_export.write(exported, cls.vocab, paths["saved_model"])
    cls.tflite = os.path.join(folder, "model.tflite")
    tflite_model.write(exported, cls.vocab, cls.tflite, **_SEARCH_OPTIONS)
    cls.images = [tiny_captioning.jpeg(seed) for seed in range(_NUM_IMAGES)]
    cls.captioners = {
        name: captioning.Captioner.load(path, cls.vocab)
        for name, path in paths.items()
    }
    # The reference: the model that is trained, as it is.
    cls.expected = captioning.Captioner(model, cls.vocab).caption(
        cls.images, **_SEARCH_OPTIONS
    )

  def _assert_expected(self, words, log_probabilities):
    """Compares lists with a list per image, the best caption first."""
    self.assertEqual(
        words, [[c.words for c in captions] for captions in self.expected]
    )
    # The tiny model enlarges the last bits of the encoder's features.
    self.assertAllClose(
        log_probabilities,
        [[c.log_probability for c in captions] for captions in self.expected],
        atol=1e-3,
    )

  def test_the_pictures_have_different_captions(self):
    best = {captions[0].words for captions in self.expected}
    self.assertGreater(len(best), 2)

  @parameterized.parameters(
      ("checkpoint", inference_model.InferenceModel),
      ("ensemble", ensemble.Ensemble),
      ("frozen_graph", frozen_graph.FrozenGraph),
      ("saved_model", saved_model.SavedModel),
  )
  def test_captions(self, name, model_class):
    captioner = self.captioners[name]
    self.assertIsInstance(captioner.model, model_class)
    self.assertEqual(
        captioner.model.vocab_size, tiny_captioning.CONFIG.vocab_size
    )
    results = captioner.caption(self.images, **_SEARCH_OPTIONS)
    self._assert_expected(
        [[c.words for c in captions] for captions in results],
        [[c.log_probability for c in captions] for captions in results],
    )

  def test_captions_of_tflite(self):
    with warnings.catch_warnings():
      warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
      runner = tf.lite.Interpreter(self.tflite).get_signature_runner()
    with zipfile.ZipFile(self.tflite) as archive:
      vocab = archive.read("words.txt").decode().split("\n")
    words, log_probabilities = [], []
    for image in self.images:
      pixels = tf.io.decode_jpeg(image, dct_method="INTEGER_FAST").numpy()
      result = runner(image=pixels)
      count = int(result["num_captions"])
      words.append(
          [
              tuple(vocab[i] for i in word_ids if i >= 0)
              for word_ids in result["word_ids"][:count]
          ]
      )
      log_probabilities.append(result["log_probabilities"][:count])
    self._assert_expected(words, log_probabilities)


if __name__ == "__main__":
  tf.test.main()
