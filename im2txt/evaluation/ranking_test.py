"""Tests of ranking, compared with a computation in NumPy."""

import math
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import networks
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.evaluation import ranking
from im2txt.ops import feature_inputs
from im2txt.testing import made_up_features
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _log_likelihood(decoder, features, caption):
  """Computes log p(caption | image) word by word, by the paper's equations."""
  value = {n: v.numpy() for n, v in decoder.variables_by_name.items()}
  c = h = np.zeros(tiny.CONFIG.num_lstm_units)
  total = 0.0
  inputs = [features @ value["image_embedding/weights"]]
  inputs += [value["seq_embedding/map"][word_id] for word_id in caption[:-1]]
  for number, x in enumerate(inputs):
    gates = np.concatenate([x, h]) @ value["lstm/basic_lstm_cell/kernel"]
    gates = gates + value["lstm/basic_lstm_cell/bias"]
    i, j, f, o = np.split(gates, 4)
    c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(j)
    h = _sigmoid(o) * np.tanh(c)
    if number:
      logits = h @ value["logits/weights"] + value["logits/biases"]
      total += logits[caption[number]] - math.log(np.exp(logits).sum())
  return total


class RankerTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    self.model = show_and_tell_model.ShowAndTellModel(
        tiny_captioning.CONFIG, "eval", seed=3
    )
    self.file = tiny.write_features(self.create_tempdir().full_path, "val", 6)
    self.data = caption_data.CaptionData(
        files=[self.file], config=tiny_captioning.CONFIG, are_features=True
    )

  def test_scores_equal_those_of_numpy(self):
    layout = feature_inputs.read_layout([self.file])
    features = [
        feature_inputs.parse_feature_example(record, layout)[0][0].numpy()
        for record in tf.data.TFRecordDataset(self.file)
    ]
    # The first five of six images, in batches of four, with two captions each.
    expected = [
        [
            _log_likelihood(self.model.decoder, image, caption)
            for caption in tiny.captions(10)
        ]
        for image in features[:5]
    ]
    ranker = ranking.Ranker(self.model, self.data, max_images=5)
    scores = ranker.scores()
    self.assertAllClose(expected, scores, rtol=1e-5, atol=1e-5)
    ranking_of_images = ranker.rank()
    self.assertEqual((5, 10), ranking_of_images[:2])
    order = [list(np.argsort(-np.array(column))) for column in scores.T]
    ranks = [o.index(c // 2) + 1 for c, o in enumerate(order)]
    self.assertEqual(
        np.median(ranks),
        ranking_of_images.ranks["caption to image, log-likelihood"].median,
    )

  def test_new_weights(self):
    ranker = ranking.Ranker(self.model, self.data, max_images=2)
    for variable in self.model.decoder.variables_by_name.values():
      variable.assign(tf.zeros_like(variable))
    scores = ranker.scores()
    lengths = [len(caption) - 1 for caption in tiny.captions(4)]
    # All words are equally likely.
    expected = [-length * math.log(tiny.VOCAB_SIZE) for length in lengths]
    self.assertAllClose([expected] * 2, scores)
    ranks = ranker.rank().ranks["caption to image, log-likelihood"]
    self.assertEqual(2, ranks.median)
    self.assertEqual({1: 0, 5: 1, 10: 1}, ranks.recalls)

  def test_unknown_word(self):
    folder = self.create_tempdir().full_path
    data = made_up_features.write(folder, 2, word_ids=[1, 99, 2])
    with self.assertRaisesRegex(ValueError, "word id 99.* vocab_size of 12"):
      ranking.Ranker(self.model, data, max_images=2)


class RanksTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("first", [[3, 1, 2]], [[1, 0, 0]], [1]),
      ("best_right_answer", [[3, 1, 2]], [[0, 1, 1]], [2]),
      ("last", [[3, 1, 2], [1, 2, 3]], [[0, 1, 0], [1, 0, 0]], [3, 3]),
      ("ties_count_as_wrong", [[5, 5, 5]], [[1, 0, 0]], [3]),
  )
  def test_best_ranks(self, scores, is_right, expected):
    ranks = ranking.best_ranks(np.array(scores), np.array(is_right, bool))
    self.assertEqual(expected, ranks.tolist())

  def test_rows_and_scalars(self):
    result = ranking.Ranking(
        4,
        4,
        {"image to caption, mean": ranking.summarize(np.array([1, 2, 7, 40]))},
    )
    self.assertEqual(
        [
            {
                "ranking": "image to caption, mean",
                "R@1": "25.0%",
                "R@5": "50.0%",
                "R@10": "75.0%",
                "median rank": "4.5",
            }
        ],
        result.rows(),
    )
    group = "ranking/image_to_caption/mean"
    self.assertEqual(
        {
            f"{group}/recall_at_1": 0.25,
            f"{group}/recall_at_5": 0.5,
            f"{group}/recall_at_10": 0.75,
            f"{group}/median_rank": 4.5,
        },
        result.scalars(),
    )


if __name__ == "__main__":
  tf.test.main()
