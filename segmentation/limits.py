"""What of pictures is taken from outside at most; ``--limit NAME=VALUE`` raises any."""

from shared.limits import limit

PIXELS = limit("image-pixels", 100_000_000, "pixels", "of a picture or mask, declared; 300 MB as RGB")
BYTES = limit("image-bytes", 2**30, "bytes", "of a picture's or mask's file")
