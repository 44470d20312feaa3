"""Tests of download_and_preprocess_mscoco.sh, with a server of tiny zips."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
import threading
import unittest

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import build_mscoco_data
from im2txt.testing import mscoco_server

_SCRIPT = Path(__file__).with_name("download_and_preprocess_mscoco.sh")

# What the script may call; the tests leave some of it out.
_TOOLS = (
    *("awk", "bash", "cat", "curl", "df", "du", "env", "find", "mkdir", "mv"),
    *("python3", "rm", "sleep", "tr", "uname", "unzip", "wc", "wget"),
)
_DOWNLOADERS = [tool for tool in ("curl", "wget") if shutil.which(tool)]
_UNPACKERS = ["python3", *(["unzip"] if shutil.which("unzip") else [])]

# Stands in for the builder; prints its arguments.
_ECHO = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"


class DownloadAndPreprocessMscocoTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.raw = self.folder / "mscoco" / "raw-data"
    self.server = mscoco_server.MscocoServer()
    threading.Thread(target=self.server.serve_forever).start()
    self.addCleanup(self.server.server_close)
    self.addCleanup(self.server.shutdown)

  def _command(self, name: str, text: str) -> Path:
    """Writes a program."""
    path = self.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path

  def _run(
      self,
      *arguments: str,
      without: tuple[str, ...] = (),
      script: Path = _SCRIPT,
      builder: str = _ECHO,
      **environment: str,
  ) -> tuple[int, str, str]:
    """Runs the script on a machine without some tools."""
    tools = self.folder / "tools"
    tools.mkdir(exist_ok=True)
    for tool in _TOOLS:
      place = tools / tool
      place.unlink(missing_ok=True)
      executable = sys.executable if tool == "python3" else shutil.which(tool)
      if executable and tool not in without:
        place.symlink_to(executable)
    ran = subprocess.run(
        [shutil.which("bash") or "bash", str(script), *arguments],
        capture_output=True,
        check=False,
        env={
            "PATH": str(tools),
            "MSCOCO_BASE_URL": f"http://127.0.0.1:{self.server.server_port}",
            "BUILD_MSCOCO_DATA": str(self._command("builder", builder)),
            **environment,
        },
        text=True,
    )
    return ran.returncode, ran.stdout, ran.stderr

  def _skip_without(self, *tools: str) -> None:
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
      self.skipTest(f"Not here: {missing}.")

  def _dir(self) -> str:
    return str(self.raw.parent)

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_makes_records_of_what_it_downloads(self):
    status, stdout, stderr = self._run(
        self._dir(),
        "--num_threads=1",
        builder=(
            f"#!/bin/sh\nPYTHONPATH='{os.pathsep.join(sys.path)}' exec"
            f' {sys.executable} -m {build_mscoco_data.__name__} "$@"\n'
        ),
    )
    self.assertEqual(status, 0, stderr)
    self.assertRegex(stdout, "MSCOCO takes .* GB of TFRecords.* are free")
    self.assertIn("all 2 image-caption pairs in data set 'test'.", stdout)
    names = {path.name for path in self.raw.parent.iterdir()}
    self.assertContainsSubset(
        {"train-00255-of-00256", "word_counts.txt", "skipped_images.txt"}, names
    )
    self.assertCountEqual(
        [path.name for path in self.raw.iterdir()],
        [
            *("train2014", "val2014", "annotations"),
            *("train2014.zip", "val2014.zip", "annotations.zip"),
        ],
    )

  @parameterized.product(
      downloader=["curl", "wget"], unpacker=["python3", "unzip"]
  )
  def test_calls_the_builder(self, downloader, unpacker):
    self._skip_without(downloader, unpacker)
    others = {*_DOWNLOADERS, *_UNPACKERS} - {downloader, unpacker}
    status, stdout, stderr = self._run(
        self._dir(), "--min_word_count=5", without=tuple(others)
    )
    self.assertEqual(status, 0, stderr)
    self.assertEqual(
        stdout.splitlines()[-7:],
        [
            f"--train_image_dir={self.raw}/train2014",
            f"--val_image_dir={self.raw}/val2014",
            "--train_captions_file="
            f"{self.raw}/annotations/captions_train2014.json",
            f"--val_captions_file={self.raw}/annotations/captions_val2014.json",
            f"--output_dir={self._dir()}",
            f"--word_counts_output_file={self._dir()}/word_counts.txt",
            "--min_word_count=5",
        ],
    )
    self.assertLen(list((self.raw / "val2014").iterdir()), 20)

  @parameterized.parameters("curl", "wget")
  def test_goes_on_with_a_download_that_broke_off(self, downloader):
    self._skip_without(downloader)
    self.server.breaks[mscoco_server.VAL] = [5000, 2000]
    others = {*_DOWNLOADERS} - {downloader}
    status, _, stderr = self._run(self._dir(), without=tuple(others))
    self.assertEqual(status, 0, stderr)
    self.assertEqual(
        (self.raw / "val2014.zip").read_bytes(),
        self.server.files[mscoco_server.VAL],
    )
    ranges = [
        wanted
        for method, path, wanted in self.server.requests
        if (method, path) == ("GET", mscoco_server.VAL)
    ]
    self.assertEqual(ranges[-2:], ["bytes=5000-", "bytes=7000-"])

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_a_second_call_goes_on_where_the_first_gave_up(self):
    self.server.breaks[mscoco_server.VAL] = [3000] + [0] * 100
    status, _, stderr = self._run(self._dir())
    self.assertEqual(status, 1)
    self.assertRegex(
        stderr.splitlines()[-1],
        "^download_and_preprocess_mscoco: http.*/val2014.zip breaks off at 3000"
        " of [0-9]* bytes. Run this again later to resume.$",
    )
    self.assertFalse((self.raw / "val2014.zip").exists())
    self.server.breaks.clear()
    self.server.requests.clear()
    status, _, _ = self._run(self._dir())
    self.assertEqual(status, 0)
    downloads = [
        (path, wanted)
        for method, path, wanted in self.server.requests
        if method == "GET"
    ]
    self.assertEqual(downloads[0], (mscoco_server.VAL, "bytes=3000-"))
    self.assertLen(downloads, 2)
    self.server.requests.clear()
    status, _, _ = self._run(self._dir())
    self.assertEqual((status, self.server.requests), (0, []))

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_goes_on_with_the_zip_of_another_program(self):
    self.raw.mkdir(parents=True)
    (self.raw / "train2014.zip").write_bytes(
        self.server.files[mscoco_server.TRAIN][:777]
    )
    status, _, _ = self._run(self._dir())
    self.assertEqual(status, 0)
    self.assertIn(
        ("GET", mscoco_server.TRAIN, "bytes=777-"), self.server.requests
    )

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_starts_over_if_the_file_is_too_large(self):
    self.raw.mkdir(parents=True)
    (self.raw / "train2014.zip.part").write_bytes(bytes(10**6))
    status, _, _ = self._run(self._dir())
    self.assertEqual(status, 0)
    self.assertLen(list((self.raw / "train2014").iterdir()), 4)

  @parameterized.product(
      unpacker=["python3", "unzip"],
      damage=[
          lambda data: data[:-100],
          lambda data: data[:500] + b"damage" + data[506:],
          lambda data: mscoco_server.images("another_folder", 1),
      ],
  )
  def test_refuses_a_damaged_zip(self, unpacker, damage):
    self._skip_without(unpacker, *(_DOWNLOADERS or ["curl"]))
    self.server.files[mscoco_server.TRAIN] = damage(
        self.server.files[mscoco_server.TRAIN]
    )
    others = {*_UNPACKERS} - {unpacker}
    status, _, stderr = self._run(self._dir(), without=tuple(others))
    self.assertEqual(status, 1)
    self.assertIn("train2014.zip can't be unpacked: it is damaged", stderr)
    self.assertNotIn("Traceback", stderr)
    self.assertEqual(
        [path.name for path in self.raw.iterdir()], ["train2014.zip"]
    )

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_stops_if_the_disk_has_too_little_room(self):
    full = self._command(
        "full/df",
        "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity\n"
        "echo /dev/sda 2000000 1999999 1 100%\n",
    )
    path = f"{full.parent}:{self.folder / 'tools'}"
    status, stdout, stderr = self._run(self._dir(), PATH=path)
    self.assertEqual(status, 1)
    self.assertIn("1.02e-06 GB are free", stdout)
    self.assertRegex(stderr, r"mscoco needs [0-9.e-]+ GB more free space\.$")
    self.assertEmpty(list(self.raw.iterdir()))

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_counts_what_is_there_as_no_need_of_disk(self):
    self._run(self._dir())
    (self.raw.parent / "train-00000-of-00001").write_bytes(bytes(10**7))
    self.server.shutdown()
    full = self._command("full/df", "#!/bin/sh\necho\necho / 0 0 0 100%\n")
    path = f"{full.parent}:{self.folder / 'tools'}"
    status, _, stderr = self._run(self._dir(), PATH=path)
    self.assertEqual((status, stderr), (0, ""))

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_names_what_can_not_be_reached(self):
    del self.server.files[mscoco_server.ANNOTATIONS]
    status, _, stderr = self._run(self._dir())
    self.assertEqual(status, 1)
    self.assertEndsWith(
        stderr, f"{mscoco_server.ANNOTATIONS} can't be reached.\n"
    )

  @parameterized.parameters(
      (("curl", "wget"), "curl or wget is needed. Install one."),
      (("unzip", "python3"), "is needed. Install one."),
  )
  def test_names_missing_tools(self, missing, message):
    status, _, stderr = self._run(self._dir(), without=missing)
    self.assertEqual(status, 1)
    self.assertIn(message, stderr)
    self.assertFalse(self.raw.exists())

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_calls_the_builder_that_pip_put_beside_it(self):
    echo = self._command("bin/im2txt-build-mscoco-data", _ECHO)
    script = Path(shutil.copy(_SCRIPT, echo.parent))
    ran = self._run(self._dir(), "-x", script=script, BUILD_MSCOCO_DATA="")
    self.assertEqual((0, "-x"), (ran[0], ran[1].split()[-1]), ran[2])

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_names_a_missing_builder(self):
    status, _, stderr = self._run(self._dir(), BUILD_MSCOCO_DATA="")
    self.assertEqual(status, 1)
    self.assertIn("build_mscoco_data is missing. Run this program with", stderr)

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  def test_a_tilde_is_the_home_folder(self):
    home = self.raw.parent.parent
    _, stdout, stderr = self._run(f"~/{self.raw.parent.name}", HOME=str(home))
    self.assertIn(f"--output_dir={self.raw.parent}\n", stdout, stderr)

  @unittest.skipUnless(_DOWNLOADERS, "Neither curl nor wget is here.")
  @parameterized.parameters("~no-such-user/mscoco", "~$(touch x)")
  def test_an_unknown_home_folder_is_refused(self, folder):
    status, stdout, stderr = self._run(folder)
    self.assertEqual((status, stdout), (1, ""))
    self.assertIn(f"{folder.partition('/')[0]} is unknown", stderr)

  def test_wrong_use(self):
    usage = "usage: download_and_preprocess_mscoco DIR [flags of"
    for arguments, status in (((), 2), (("--num_threads=4", "dir"), 1)):
      with self.subTest(arguments=arguments):
        ended, stdout, stderr = self._run(*arguments)
        self.assertEqual((ended, stdout), (status, ""))
        self.assertStartsWith(stderr, usage)

  def test_help_teaches(self):
    status, stdout, _ = self._run("--help")
    self.assertEqual(status, 0)
    self.assertContainsInOrder(
        ["usage:", "DIR/word_counts.txt", "140 GB", "MSCOCO_BASE_URL"], stdout
    )


if __name__ == "__main__":
  absltest.main()
