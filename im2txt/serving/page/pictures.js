// Converts files to formats and sizes that the server accepts.

import {CaptionError} from "./captions.js";

const TYPES = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/gif",
  "image/bmp",
];
// Larger files are mostly photographs of cameras, with far more pixels than the
// model uses.
const MAX_BYTES = 1 << 20;
const MAX_SIDE = 1600;
const QUALITY = 0.92;

/** Returns what to send for a picture: a small file itself, else a JPEG. */
export async function pictureOf(file) {
  const isTaken = TYPES.includes(file.type);
  if (isTaken && file.size <= MAX_BYTES) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    // The server's error for such a file is more precise.
    if (isTaken) return file;
    throw new CaptionError("Not a picture that this browser can show.");
  }
  return reduced(bitmap);
}

function reduced(bitmap) {
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const context = canvas.getContext("2d");
  // JPEG has no transparency; transparent pixels would become black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/jpeg", QUALITY);
  });
}
