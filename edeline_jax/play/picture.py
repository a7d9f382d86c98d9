"""What is sent to a page in one binary message: a header in JSON, and arrays or a file after it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def encode(header: Mapping[str, Any], images: Mapping[str, np.ndarray] | None = None, file: bytes = b"") -> bytes:
    """Length of the header, uint32, little-endian; the header with `images`, [name, height, width] of each; bytes.

    Args:
      header: what JSON can hold.
      images: uint8 [H, W, 3] each, sent as they are: the socket compresses.
      file: sent after the images.
    """
    images = images or {}
    places = [[name, *image.shape[:2]] for name, image in images.items()]
    text = json.dumps({**header, "images": places}, allow_nan=False).encode()
    bodies = (np.ascontiguousarray(image).tobytes() for image in images.values())
    return b"".join((len(text).to_bytes(4, "little"), text, *bodies, file))


def decode(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray], bytes]:
    """Header, images and file of an encoded message; what the page does."""
    stop = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:stop])
    images = {}
    for name, height, width in header["images"]:
        size = height * width * 3
        images[name] = np.frombuffer(message[stop : stop + size], np.uint8).reshape(height, width, 3)
        stop += size
    return header, images, message[stop:]
