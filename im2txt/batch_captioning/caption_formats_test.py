"""Tests of caption_formats."""

import csv
import json
import math

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.batch_captioning import caption_formats
from im2txt.inference import captions


def _caption(words, *word_probabilities, end_probability=None):
  log_probability = math.log(
      math.prod(word_probabilities) * (end_probability or 1)
  )
  return captions.Caption(
      words=tuple(words.split(" ")) if words else (),
      log_probability=log_probability,
      word_probabilities=word_probabilities,
      end_probability=end_probability,
      score=log_probability / 2,
  )


_FOUND = (
    caption_formats.FileCaptions(
        "photos/dog.jpg",
        [
            _caption("a dog", 0.5, 0.25, end_probability=0.5),
            _caption('a "dog", running', 0.5, 0.25, 0.125),
        ],
    ),
    caption_formats.FileCaptions("caf\u00e9\udcff.jpg", [_caption("")]),
)


class CaptionFormatsTest(parameterized.TestCase):

  def _render(self, name, **kwargs):
    return "".join(caption_formats.render(name, iter(_FOUND), **kwargs))

  def test_text(self):
    self.assertEqual(
        self._render("text"),
        "Captions for image dog.jpg:\n"
        "  0) a dog (p=0.062500)\n"
        '  1) a "dog", running (p=0.015625)\n'
        "Captions for image caf\u00e9\udcff.jpg:\n"
        "  0)  (p=1.000000)\n",
    )

  def test_jsonl(self):
    first, second = map(json.loads, self._render("jsonl").splitlines())
    self.assertEqual(first["file"], "photos/dog.jpg")
    self.assertEqual(
        first["captions"][0],
        {
            "caption": "a dog",
            "probability": 0.0625,
            "log_probability": math.log(0.0625),
            "score": math.log(0.0625) / 2,
            "word_probabilities": [0.5, 0.25],
            "end_probability": 0.5,
        },
    )
    self.assertIsNone(first["captions"][1]["end_probability"])
    self.assertEqual(second["file"], "caf\u00e9\udcff.jpg")

  def test_jsonl_is_read_again(self):
    lines = self._render("jsonl").splitlines()
    self.assertEqual([caption_formats.from_json(x) for x in lines], [*_FOUND])

  def test_words_may_hold_spaces_that_are_not_ascii(self):
    found = caption_formats.FileCaptions("x", [_caption("a 10\xa0m", 0.5, 0.5)])
    (line,) = caption_formats.jsonl([found])
    self.assertEqual(caption_formats.from_json(line), found)

  @parameterized.parameters("", "{", "[]", "5", '{"file": "x"}', '{"x": [1]}')
  def test_what_is_no_such_line(self, line):
    with self.assertRaises(ValueError):
      caption_formats.from_json(line)

  def test_csv(self):
    rows = list(csv.reader(self._render("csv").splitlines()))
    self.assertEqual(
        rows,
        [
            ["file", "rank", "caption", "probability", "log_probability"],
            ["photos/dog.jpg", "1", "a dog", "0.0625", str(math.log(0.0625))],
            [
                "photos/dog.jpg",
                "2",
                'a "dog", running',
                str(math.exp(math.log(0.015625))),
                str(math.log(0.015625)),
            ],
            ["caf\u00e9\udcff.jpg", "1", "", "1.0", "0.0"],
        ],
    )

  def test_coco_results_have_the_best_caption(self):
    ids = {"photos/dog.jpg": 139, "caf\u00e9\udcff.jpg": 7}
    self.assertEqual(
        json.loads(self._render("coco_results", image_ids=ids)),
        [
            {"image_id": 139, "caption": "a dog"},
            {"image_id": 7, "caption": ""},
        ],
    )

  @parameterized.parameters("text", "jsonl", "csv", "coco_results")
  def test_each_file_is_written_when_it_is_known(self, name):
    taken = []

    def found():
      for each in _FOUND:
        taken.append(each.file)
        yield each

    ids = {each.file: i for i, each in enumerate(_FOUND)}
    pieces = caption_formats.render(name, found(), ids)
    while not taken:
      piece = next(pieces)
    self.assertIn("a dog", piece)
    self.assertLen(taken, 1)


if __name__ == "__main__":
  absltest.main()
