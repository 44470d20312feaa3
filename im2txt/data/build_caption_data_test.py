"""Tests of build_caption_data, run as a subprocess."""

import io
import json
from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image
import tensorflow as tf

from im2txt.data import build_caption_data
from im2txt.data import dataset_writer
from im2txt.testing import programs


def _encoded(grey: int, image_format: str = "JPEG") -> bytes:
  content = io.BytesIO()
  Image.new("RGB", (16, 16), (grey, grey, grey)).save(content, image_format)
  return content.getvalue()


def _records(path: Path) -> list[tuple[int, bytes, str, list[int]]]:
  """Returns image id, image, caption and word ids of each record."""
  records = []
  for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
    example = tf.train.SequenceExample.FromString(record)
    context = example.context.feature
    words, word_ids = (
        example.feature_lists.feature_list[f"image/{name}"].feature
        for name in ("caption", "caption_ids")
    )
    records.append(
        (
            context["image/image_id"].int64_list.value[0],
            context["image/data"].bytes_list.value[0],
            b" ".join(w.bytes_list.value[0] for w in words).decode(),
            [i.int64_list.value[0] for i in word_ids],
        )
    )
  return sorted(records)


class BuildCaptionDataTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.out = self.folder / "out"
    (self.folder / "images").mkdir()
    for i in range(4):
      (self.folder / "images" / f"{i}.jpg").write_bytes(_encoded(50 * i))

  def _write(self, name: str, text: str) -> str:
    (self.folder / name).write_text(text, encoding="utf-8")
    return str(self.folder / name)

  def _run(self, *arguments, **flags):
    flags = {
        "image_dir": self.folder / "images",
        "output_dir": self.out,
        "train_shards": 1,
        "val_shards": 1,
        "test_shards": 1,
        "num_threads": 1,
        "min_word_count": 1,
        **flags,
    }
    return programs.run(
        "data.build_caption_data",
        *arguments,
        *(f"--{name}={value}" for name, value in flags.items() if value != ""),
    )

  def _flickr(self) -> str:
    lines = [
        f"{i}.jpg#{j}\tDog {j} in {i}.\n" for i in range(4) for j in (0, 1)
    ]
    return self._write("token.txt", "".join(lines))

  def test_token_files_and_lists(self):
    ran = self._run(
        captions_file=self._flickr(),
        train_list=self._write("train.txt", "0.jpg\n2.jpg\n"),
        val_list=self._write("val.txt", "3.jpg\n"),
        min_word_count=2,
    )
    self.assertEqual((ran.returncode, ran.stderr), (0, ""))
    self.assertCountEqual(
        [path.name for path in self.out.iterdir()],
        [
            *("train-00000-of-00001", "val-00000-of-00001", "word_counts.txt"),
            *("captions_train.json", "captions_val.json", "image_ids.txt"),
            *("skipped_images.txt", "dataset.json"),
        ],
    )
    self.assertEqual(
        (self.out / "word_counts.txt").read_text(),
        "<S> 4\ndog 4\n0 4\nin 4\n. 4\n</S> 4\n1 2\n2 2",
    )
    self.assertEqual(
        _records(self.out / "val-00000-of-00001"),
        [
            (3, _encoded(150), f"<S> dog {j} in 3 . </S>", ids)
            for j, ids in (
                (0, [0, 1, 2, 3, 8, 4, 5]),
                (1, [0, 1, 6, 3, 8, 4, 5]),
            )
        ],
    )
    self.assertEqual(
        (self.out / "image_ids.txt").read_text(),
        "1\t0.jpg\n2\t2.jpg\n3\t3.jpg\n",
    )
    self.assertIn("in data set 'train'.", ran.stdout)

  def test_other_images_are_encoded_and_broken_ones_left_out(self):
    images = self.folder / "images"
    (images / "0.jpg").write_bytes(_encoded(0)[:-50])
    (images / "1.png").write_bytes(_encoded(200, "PNG"))
    rows = "0.jpg,a cat\n1.png,a dog\n9.jpg,no file\n"
    ran = self._run(
        captions_file=self._write("c.csv", "image,caption\n" + rows),
        val_fraction=0,
        test_fraction=0,
    )
    self.assertEqual((ran.returncode, ran.stderr), (0, ""))
    ((image_id, data, _, _),) = _records(self.out / "train-00000-of-00001")
    self.assertEqual(image_id, 2)
    with Image.open(io.BytesIO(data)) as image:
      self.assertEqual(
          (image.format, image.getpixel((8, 8))), ("JPEG", (200,) * 3)
      )
    skipped = (self.out / "skipped_images.txt").read_text().splitlines()
    self.assertEqual(
        [line.partition("\t")[0] for line in skipped],
        [str(images / "0.jpg"), str(images / "9.jpg")],
    )
    captions = json.loads((self.out / "captions_train.json").read_text())
    self.assertEqual(captions["images"], [{"id": 2, "file_name": "1.png"}])
    self.assertEqual((self.out / "image_ids.txt").read_text(), "2\t1.png\n")
    # What is left out counts nowhere.
    self.assertEqual(
        (self.out / "word_counts.txt").read_text(),
        "<S> 1\na 1\ndog 1\n</S> 1",
    )
    description = json.loads((self.out / "dataset.json").read_text())
    self.assertEqual(description["vocab_size"], 5)
    self.assertEqual(
        description["splits"]["train"],
        {"images": 1, "captions": 1, "largest_word_id": 3},
    )
    self.assertRegex(
        ran.stdout,
        r"has 4 words\. .* vocab_size=5\.\n"
        r"There are 1 captions of 1 images to train with:\n\n"
        rf"  bazel-bin/im2txt/train \\\n    --input_file_pattern='{self.out}"
        r"/train-\?{5}-of-00001' (.|\n)*"
        r"takes vocab_size=5 and num_examples_per_epoch=1 from dataset.json",
    )

  def test_characters_with_another_datas_vocabulary(self):
    lines = '{"image": "0.jpg", "caption": "一只狗", "split": "train"}\n'
    flags = {"tokenizer": "characters"}
    ran = self._run(captions_file=self._write("a.jsonl", lines), **flags)
    self.assertEqual((ran.returncode, ran.stderr), (0, ""))
    self.assertIn("一 只 狗", (self.out / "captions_train.json").read_text())
    old, self.out = self.out, self.folder / "other"
    flags["vocab_file"] = old / "word_counts.txt"
    lines = '{"image": "1.jpg", "caption": "一只猫", "split": "val"}\n'
    ran = self._run(captions_file=self._write("b.jsonl", lines), **flags)
    self.assertEqual(ran.returncode, 0, ran.stderr)
    self.assertIn("1 of 5 words of val (20.0%) are not in the", ran.stdout)
    self.assertEqual(
        (self.out / "word_counts.txt").read_bytes(),
        (old / "word_counts.txt").read_bytes(),
    )
    self.assertEqual(
        [record[2:] for record in _records(self.out / "val-00000-of-00001")],
        [("<S> 一 只 猫 </S>", [0, 1, 2, 5, 4])],
    )
    ran = self._run(
        captions_file=self._write("b.jsonl", lines),
        **flags | {"tokenizer": "nltk"},
    )
    self.assertEqual(ran.returncode, 2)
    self.assertIn("built with --tokenizer=characters. Got: nltk", ran.stderr)

  def test_only_the_vocabulary(self):
    ran = self._run("--only_vocabulary", captions_file=self._flickr())
    self.assertEqual((ran.returncode, ran.stderr), (0, ""))
    self.assertCountEqual(
        [path.name for path in self.out.iterdir()],
        ["word_counts.txt", "dataset.json"],
    )

  def test_mistakes(self):
    captions = self._flickr()
    no_split = self._write("s.csv", "image,caption,split\n0.jpg,x,test\n")
    marked = self._write("m.csv", "image,caption\n0.jpg,a <S> b\n")
    for flags, status, message in (
        ({}, 2, "--captions_file is required"),
        ({"captions_file": captions, "output_dir": ""}, 2, "--output_dir is"),
        ({"captions_file": "/no"}, 1, "There is no captions file '/no'"),
        ({"captions_file": captions, "image_dir": "/no"}, 1, "is not a folder"),
        (
            {"captions_file": captions, "train_captions_file": captions},
            2,
            "--captions_file and --train_captions_file etc. can't be combined",
        ),
        (
            {"captions_file": captions, "val_list": "x", "val_fraction": 0.1},
            2,
            "--captions_file and --train_list etc. and --val",
        ),
        ({"captions_file": no_split}, 1, "no images in train"),
        (
            {
                "captions_file": marked,
                "tokenizer": "whitespace",
                "test_fraction": 0,
                "val_fraction": 0,
            },
            1,
            "A caption contains <S> or </S>",
        ),
        (
            {"captions_file": captions, "train_shards": 3, "num_threads": 2},
            1,
            "commensurate",
        ),
    ):
      with self.subTest(message):
        ran = self._run(**flags)
        self.assertEqual(ran.returncode, status)
        self.assertStartsWith(ran.stderr, "build_caption_data: ")
        self.assertIn(message, ran.stderr)
        self.assertLen(ran.stderr.splitlines(), 1)


class GivenVocabularyTest(absltest.TestCase):

  def test_copies_and_counts(self):
    folder = Path(self.create_tempdir().full_path)
    given, copy = folder / "given.txt", folder / "copy.txt"
    given.write_text("dog 9\n</S> 5\n<S> 5\n")
    lines = []
    images = [
        dataset_writer.TokenizedImage(
            1, "a.jpg", [["<S>", "a", "dog", "</S>"], ["<S>", "cat", "</S>"]]
        )
    ]
    word_ids = build_caption_data.copy_vocabulary(
        str(given), str(copy), {"train": images}, lines.append
    )
    self.assertEqual(word_ids.of(images[0].captions[0]), [2, 3, 0, 1])
    self.assertEqual(copy.read_bytes(), given.read_bytes())
    self.assertEqual(
        lines, ["2 of 7 words of train (28.6%) are not in the vocabulary."]
    )

  def test_may_replace_itself(self):
    path = self.create_tempfile(content="<S>\n</S>\nx\n<UNK>").full_path
    word_ids = build_caption_data.copy_vocabulary(path, path, {}, print)
    self.assertEqual(word_ids.of(["x", "y"]), [2, 3])
    self.assertEqual(Path(path).read_text(), "<S>\n</S>\nx\n<UNK>")

  def test_refuses(self):
    with self.assertRaisesRegex(FileNotFoundError, "no vocabulary file '/no'"):
      build_caption_data.copy_vocabulary("/no", "/no/copy", {}, print)
    path = self.create_tempfile(content="a 1").full_path
    with self.assertRaisesRegex(ValueError, "start_word .* is missing"):
      build_caption_data.copy_vocabulary(path, "/no/copy", {}, print)


if __name__ == "__main__":
  tf.test.main()
