"""Fuzz tests: the server answers every request, and never with status 500."""

import asyncio
import functools
import struct

from absl.testing import parameterized
import httpx
import hypothesis
from hypothesis import strategies
import tensorflow as tf

from im2txt import captioning
from im2txt.inference_utils import vocabulary
from im2txt.serving import application
from im2txt.serving import caption_service
from im2txt.serving import middleware
from im2txt.testing import fake_captioner
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_KINDS = ("jpeg", "png", "webp", "gif", "bmp")
# By format: a byte string, the offset of width and height from its start, and
# their struct format.
_SIZES = {
    "jpeg": (b"\xff\xc0", 5, ">HH"),
    "png": (b"IHDR", 4, ">II"),
    "webp": (b"VP8 ", 14, "<HH"),
    "gif": (b",", 5, "<HH"),
    "bmp": (b"BM", 18, "<II"),
}

# The same examples each time, without the phases that would take minutes.
_settings = hypothesis.settings(
    derandomize=True, deadline=None, max_examples=60, database=None
)


@functools.cache
def _image(kind):
  return fake_captioner.image(40, 30, kind)


class FuzzTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    vocab_file = tiny.write_vocabulary(tf.compat.v1.test.get_temp_dir())
    captioner = captioning.Captioner(
        tiny_captioning.make_model(), vocabulary.Vocabulary(vocab_file)
    )
    # One loop for all examples; the server's thread begins with the first.
    cls.runner = asyncio.Runner()
    cls.app = application.make(
        captioner,
        caption_service.Limits(max_pixels=100_000, max_delay_secs=0.0),
        middleware.RequestLimits(max_body_bytes=100_000),
    )
    cls.messages = asyncio.Queue()
    cls.addClassCleanup(cls.runner.close)
    cls.addClassCleanup(cls._end)
    cls.lifespan = cls.runner.run(cls._start())

  @classmethod
  async def _start(cls):
    started = asyncio.Event()

    async def send(message):
      assert "failed" not in message["type"], message
      started.set()

    task = asyncio.ensure_future(
        cls.app({"type": "lifespan", "state": {}}, cls.messages.get, send)
    )
    await cls.messages.put({"type": "lifespan.startup"})
    await started.wait()
    return task

  @classmethod
  def _end(cls):
    async def end():
      await cls.messages.put({"type": "lifespan.shutdown"})
      await cls.lifespan

    cls.runner.run(end())

  def _post(self, path, **request):
    async def post():
      transport = httpx.ASGITransport(self.app)
      async with httpx.AsyncClient(transport=transport) as client:
        return await client.post(f"http://server{path}", **request)

    return self.runner.run(post())

  def _assert_answered(self, image):
    answer = self._post("/model/predict", files={"image": ("x", image)})
    self.assertIn(answer.status_code, (200, 400))
    self.assertEqual(
        answer.json()["status"], "ok" if answer.status_code == 200 else "error"
    )
    return answer

  def test_whole_images_are_captioned(self):
    for kind in _KINDS:
      self.assertEqual(self._assert_answered(_image(kind)).status_code, 200)

  @_settings
  @hypothesis.given(strategies.binary(max_size=2000))
  def test_random_bytes(self, data):
    self.assertEqual(self._assert_answered(data).status_code, 400)

  @_settings
  @hypothesis.given(strategies.sampled_from(_KINDS), strategies.floats(0, 0.95))
  def test_truncated(self, kind, share):
    image = _image(kind)
    answer = self._assert_answered(image[: int(share * len(image))])
    self.assertEqual(answer.status_code, 400)

  @_settings
  @hypothesis.given(
      strategies.sampled_from(_KINDS),
      strategies.lists(
          strategies.tuples(strategies.floats(0, 0.999), strategies.binary()),
          min_size=1,
          max_size=8,
      ),
  )
  def test_overwritten(self, kind, changes):
    image = bytearray(_image(kind))
    for share, data in changes:
      place = int(share * len(image))
      image[place : place + len(data)] = data
    self._assert_answered(bytes(image))

  @_settings
  @hypothesis.given(
      strategies.sampled_from(_KINDS),
      strategies.integers(min_value=0),
      strategies.integers(0, 7),
  )
  def test_flipped_bits(self, kind, place, bit):
    image = bytearray(_image(kind))
    image[place % len(image)] ^= 1 << bit
    self._assert_answered(bytes(image))

  @_settings
  @hypothesis.given(
      strategies.sampled_from(_KINDS),
      strategies.lists(
          strategies.integers(0, 2**16 - 1), min_size=2, max_size=2
      ),
  )
  def test_other_sizes_in_the_header(self, kind, sizes):
    image = bytearray(_image(kind))
    before, offset, form = _SIZES[kind]
    if "I" in form:
      sizes = [size << 8 for size in sizes]
    struct.pack_into(form, image, image.index(before) + offset, *sizes)
    self._assert_answered(bytes(image))

  @_settings
  @hypothesis.given(strategies.binary(max_size=300), strategies.booleans())
  def test_bodies(self, data, is_in_form):
    if is_in_form:
      data = b"--b\r\n" + data + b"\r\n--b--\r\n"
    answer = self._post(
        "/v1/captions",
        content=data,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    self.assertEqual(answer.status_code, 400)

  @_settings
  @hypothesis.given(
      strategies.sampled_from(
          ["beam_size", "max_caption_length", "length_normalization_factor"]
      ),
      strategies.one_of(
          strategies.text(max_size=20),
          strategies.floats().filter(lambda x: not 0 <= x <= 50).map(str),
      ),
  )
  def test_options(self, name, value):
    answer = self._post(
        "/v1/captions",
        files={"images": ("x", _image("png"))},
        data={name: value},
    )
    self.assertIn(answer.status_code, (200, 400))


if __name__ == "__main__":
  tf.test.main()
