"""Tests of caption_writer."""

import csv
import json
import math
import os
from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.batch_captioning import caption_writer
from im2txt.inference import captions


def _result(file, sentence):
  caption = captions.Caption(
      words=tuple(sentence.split()),
      log_probability=-1.5,
      word_probabilities=(),
      end_probability=None,
      score=-1.5,
  )
  return captions.FileCaptions(str(file), [caption])


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


_RESULTS = (
    captions.FileCaptions(
        "photos/dog.jpg",
        [
            _caption("a dog", 0.5, 0.25, end_probability=0.5),
            _caption('a "dog", running', 0.5, 0.25, 0.125),
        ],
    ),
    captions.FileCaptions("caf\u00e9\udcff.jpg", [_caption("")]),
)


class RenderTest(parameterized.TestCase):

  def _render(self, name, **kwargs):
    return "".join(caption_writer.render(name, iter(_RESULTS), **kwargs))

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
    self.assertEqual([caption_writer.from_json(x) for x in lines], [*_RESULTS])

  def test_words_may_hold_spaces_that_are_not_ascii(self):
    result = captions.FileCaptions("x", [_caption("a 10\xa0m", 0.5, 0.5)])
    (line,) = caption_writer.jsonl([result])
    self.assertEqual(caption_writer.from_json(line), result)

  @parameterized.parameters("", "{", "[]", "5", '{"file": "x"}', '{"x": [1]}')
  def test_what_is_no_such_line(self, line):
    with self.assertRaises(ValueError):
      caption_writer.from_json(line)

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
      for each in _RESULTS:
        taken.append(each.file)
        yield each

    ids = {each.file: i for i, each in enumerate(_RESULTS)}
    pieces = caption_writer.render(name, found(), ids)
    while not taken:
      piece = next(pieces)
    self.assertIn("a dog", piece)
    self.assertLen(taken, 1)


class WriteTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)

  def _write(self, name, form, found):
    caption_writer.write(
        str(self.folder / name), form, found, image_ids={}, summary="By me."
    )

  def test_a_file(self):
    self._write("out.txt", "text", [_result("a\udcff.jpg", "a caf\u00e9")])
    self.assertEqual(
        (self.folder / "out.txt").read_bytes(),
        b"Captions for image a\xff.jpg:\n  0) a caf\xc3\xa9 (p=0.223130)\n",
    )

  def test_a_file_is_replaced_whole_or_not_at_all(self):
    path = self.folder / "out[1].txt"
    path.write_text("before")
    # The temporary file of a process that was killed while writing.
    (self.folder / ".out[1].txt.123.tmp").write_text("half")

    def found():
      yield _result("a.jpg", "a dog")
      self.assertEqual(path.read_text(), "before")
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      self._write(path.name, "text", found())
    self.assertEqual(path.read_text(), "before")
    self._write(path.name, "text", [])
    self.assertEqual(path.read_text(), "")
    self.assertEqual(os.listdir(self.folder), [path.name])

  def test_a_page(self):
    Image.new("RGB", (8, 6), "red").save(self.folder / "a.png")
    self._write("page", "html", [_result(self.folder / "a.png", "a <red> one")])
    page = (self.folder / "page" / "index.html").read_text()
    self.assertIn("By me.", page)
    self.assertIn(r"a \u003cred> one", page)
    self.assertTrue((self.folder / "page/thumbnails/000000.jpg").exists())

  @parameterized.parameters(
      ("text", "no/out.txt", FileNotFoundError, "There is no folder for"),
      ("html", "no/page", FileNotFoundError, "There is no folder for"),
      ("text", "full", ValueError, "full is a folder"),
      ("text", "/dev/null", ValueError, "/dev/null is not a regular file"),
      ("html", "full", ValueError, "holds notes.txt"),
      ("html", "full/notes.txt", ValueError, "is a file"),
  )
  def test_what_can_not_be_written(self, form, name, error, message):
    (self.folder / "full").mkdir()
    (self.folder / "full" / "notes.txt").touch()
    with self.assertRaisesRegex(error, message):
      caption_writer.check(str(self.folder / name), form)

  @parameterized.parameters("text", "html")
  def test_what_can_be_written(self, form):
    caption_writer.check(str(self.folder / "new"), form)
    os.chdir(self.folder)
    caption_writer.check("new", form)


if __name__ == "__main__":
  absltest.main()
