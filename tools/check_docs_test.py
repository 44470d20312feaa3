"""Tests that the commands of the docs work; and tests of that check."""

from pathlib import Path
import shutil
import subprocess
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from tools import check_docs
from tools import docs_commands
from tools import docs_program
from tools import docs_world

_PAGE = """\
# Title

    bazel-bin/im2txt/train \\
      --train_dir=a

then run

      --train_inception=true

and prints

    Captions for image dog.jpg:

```bash
A=1
echo "$A"
```

```json
{"python": 3}
```
"""


class DocsCommandsTest(absltest.TestCase):

  def test_find(self):
    self.assertEqual(
        docs_commands.find(_PAGE),
        [
            docs_commands.Block(
                3, "bazel-bin/im2txt/train \\\n  --train_dir=a"
            ),
            docs_commands.Block(15, 'A=1\necho "$A"'),
        ],
    )


class DocsProgramTest(parameterized.TestCase):

  def test_training_takes_two_more_steps(self):
    folder = self.create_tempdir()
    folder.create_file("model.ckpt-7.index")

    arguments = docs_program.shrink(
        "train",
        [f"--train_dir={folder.full_path}", "--config_overrides=batch_size=64"],
    )

    self.assertEqual(arguments[-1], "--number_of_steps=9")
    self.assertEqual(
        arguments[-2],
        f"--config_overrides=batch_size=64,{docs_program.TINY}",
    )

  @parameterized.parameters(
      ("evaluate", ["--once", "--min_global_step=0"]), ("run_inference", [])
  )
  def test_others(self, program, added):
    self.assertEqual(docs_program.shrink(program, ["--a=b"]), ["--a=b", *added])


class CheckDocsTest(parameterized.TestCase):

  @parameterized.parameters(
      ("bazel-bin/im2txt/train --train_dir=a", True),
      ("pip install im2txt", False),
      ("./bazelw test //...", False),
      ("export TF_CONFIG='{}'\nbazel-bin/im2txt/train", False),
  )
  def test_can_run(self, script, expected):
    self.assertEqual(check_docs.can_run(script), expected)

  def test_errors_have_the_page_and_the_line(self):
    folder = Path(self.create_tempdir().full_path)
    page = folder / "page.md"
    page.write_text("```sh\nbazel-bin/im2txt/trian --a=b\n```\n")

    with self.assertRaisesRegex(check_docs.DocsError, r"page.md:2: .*trian"):
      check_docs.check(page, docs_world.World(folder))

  def test_curl_is_skipped_only_if_it_is_missing(self):
    world = docs_world.World(Path(self.create_tempdir().full_path))
    script = "curl --silent http://127.0.0.1:0"

    with mock.patch.object(shutil, "which", return_value=None):
      world.run(script)
    with (
        mock.patch.object(shutil, "which", return_value="/usr/bin/curl"),
        self.assertRaises(subprocess.CalledProcessError),
    ):
      world.run(script)

  def test_the_walkthroughs_have_the_same_commands(self):
    scripts = [
        [block.script for block in docs_commands.find(Path(page).read_text())]
        for page in ("README.md", "README.zh-CN.md")
    ]

    self.assertNotEmpty(scripts[0])
    self.assertEqual(*scripts)

  def test_the_docs(self):
    pages = [Path("README.md"), *sorted(Path("g3doc").glob("*.md"))]
    folder = Path(self.create_tempdir().full_path)

    faults = check_docs.check_all(pages, folder)
    self.assertEmpty(faults, "\n".join(faults))


if __name__ == "__main__":
  absltest.main()
