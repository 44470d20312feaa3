"""Tests of the caption service."""

import asyncio
import io

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt import captioning
from im2txt.data import image_files
from im2txt.serving import batcher
from im2txt.serving import caption_service
from im2txt.testing import fake_captioner

_OPTIONS = caption_service.RequestOptions()


class CaptionServiceTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.captioner = fake_captioner.FakeCaptioner()
    self.batches = []

  def _make(self, **limits):
    service = caption_service.CaptionService(
        self.captioner,
        caption_service.Limits(**limits),
        on_batch=lambda *args: self.batches.append(args),
    )
    self.addCleanup(service.close)
    self.addCleanup(self.captioner.go.set)
    return service

  def test_captions_in_order_and_errors_among_them(self):
    service = self._make(max_pixels=100)
    found = asyncio.run(
        service.caption(
            [
                fake_captioner.image(5, 6),
                b"x",
                fake_captioner.image(4, 3)[:45],
                fake_captioner.image(20, 20),
                fake_captioner.image(7, 8, "webp"),
            ],
            _OPTIONS,
        )
    )
    self.assertEqual(found[0][0].sentence, "a 5 by 6 .")
    self.assertEqual(found[4][0].sentence, "a 7 by 8 .")
    self.assertEqual(
        [str(error) for error in found[1:4]],
        [
            image_files.PROBLEM,
            image_files.PROBLEM,
            "It has 20 x 20 pixels, more than the 100 that are allowed.",
        ],
    )
    self.assertIsInstance(found[1], captioning.ImageError)
    self.assertEqual(self.captioner.batches, [(5, _OPTIONS._asdict())])
    self.assertLen(self.batches, 1)
    self.assertEqual(self.batches[0][0], 5)

  def test_pixels_of_a_request_and_of_a_batch(self):
    service = self._make(max_pixels=100, max_delay_secs=0.0)
    image = fake_captioner.image
    # An image that is too large and an invalid one are not decoded.
    ten = [*10 * [image(10, 10, "webp")], image(11, 10), b"x"]
    found = asyncio.run(service.caption(ten, _OPTIONS))
    self.assertEqual(found[9][0].sentence, "a 10 by 10 .")
    sizes = [size for size, _ in self.captioner.batches]
    self.assertEqual(sizes, [2, 2, 2, 2, 4])
    with self.assertRaisesRegex(
        caption_service.TooManyPixelsError,
        "1,001 pixels in total, .* at most 1,000",
    ):
      asyncio.run(service.caption([*ten, image(1, 1)], _OPTIONS))

  def test_room(self):
    service = self._make(max_waiting_bytes=10)
    with service.room(6):
      with service.room(4):
        self.assertTrue(service.is_full)
      self.assertFalse(service.is_full)
      with self.assertRaises(batcher.FullError), service.room(5):
        pass
    # A larger request is accepted while it is the only one.
    with service.room(11):
      self.assertTrue(service.is_full)
    self.assertFalse(service.is_full)

  @parameterized.parameters((True, "a 6 by 5 ."), (False, "a 5 by 6 ."))
  def test_orientation(self, is_respected, sentence):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (5, 6)).save(file, "jpeg", exif=exif)
    service = self._make(respect_exif_orientation=is_respected)
    (found,) = asyncio.run(service.caption([file.getvalue()], _OPTIONS))
    self.assertEqual(found[0].sentence, sentence)

  def test_callers_share_batches(self):
    service = self._make(max_delay_secs=60.0, max_batch_size=4)

    async def ask_four():
      return await asyncio.gather(
          *(
              service.caption([fake_captioner.image(5, i)], _OPTIONS)
              for i in range(1, 5)
          )
      )

    sentences = [found[0][0].sentence for found in asyncio.run(ask_four())]
    self.assertEqual(sentences, [f"a 5 by {i} ." for i in range(1, 5)])
    self.assertEqual([size for size, _ in self.captioner.batches], [4])

  def test_options_are_the_searchs(self):
    service = self._make()
    options = caption_service.RequestOptions(2, 7, 0.5)
    (found,) = asyncio.run(service.caption([fake_captioner.image()], options))
    self.assertLen(found, 2)
    self.assertEqual(
        self.captioner.batches[0][1],
        {
            "beam_size": 2,
            "max_caption_length": 7,
            "length_normalization_factor": 0.5,
        },
    )

  def test_time_out_takes_back_what_waits(self):
    # By then a busy machine, too, has begun with the first.
    service = self._make(timeout_secs=3.0, max_batch_size=1)
    self.captioner.go.clear()
    images = 2 * [fake_captioner.image()]
    with self.assertRaises(TimeoutError):
      asyncio.run(service.caption(images, _OPTIONS))
    self.captioner.go.set()
    service.close()
    self.assertLen(self.captioner.batches, 1)

  def test_cancelled_callers_cost_others_nothing(self):
    service = self._make(max_batch_size=1)
    self.captioner.go.clear()

    async def ask_and_leave():
      image = fake_captioner.image
      asking = [
          asyncio.ensure_future(service.caption([image(i, i)], _OPTIONS))
          for i in (1, 2, 3)
      ]
      while service.num_waiting < 2:
        await asyncio.sleep(0.01)
      waiting = [a for a in asking if not a.done()]
      waiting[1].cancel()
      self.captioner.go.set()
      return await asyncio.gather(*asking, return_exceptions=True)

    found = asyncio.run(ask_and_leave())
    self.assertIsInstance(found[1], asyncio.CancelledError)
    self.assertEqual(found[0][0][0].sentence, "a 1 by 1 .")
    self.assertEqual(found[2][0][0].sentence, "a 3 by 3 .")

  def test_full_and_closed(self):
    service = self._make(max_waiting=1, max_images=1)
    two = 2 * [fake_captioner.image()]
    with self.assertRaises(batcher.FullError):
      asyncio.run(service.caption(two, _OPTIONS))
    self.assertFalse(service.is_full)
    self.assertTrue(service.is_working)
    service.close()
    self.assertFalse(service.is_working)
    with self.assertRaises(batcher.ClosedError):
      asyncio.run(service.caption(two[:1], _OPTIONS))

  def test_warm_up(self):
    self._make().warm_up()
    self.assertEqual(self.captioner.batches, [(1, _OPTIONS._asdict())])

  @parameterized.parameters(
      {"max_images": 0},
      {"max_images": 300},
      {"max_pixels": 0},
      {"timeout_secs": 0.0},
  )
  def test_rejects(self, **limits):
    with self.assertRaisesRegex(ValueError, "Got: "):
      caption_service.Limits(**limits)


if __name__ == "__main__":
  absltest.main()
