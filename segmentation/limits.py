"""What of pictures is taken from outside at most; ``--limit NAME=VALUE`` raises any."""

from shared.limits import limit

PIXELS = limit("image-pixels", 100_000_000, "pixels", "of a picture or mask, declared; 300 MB as RGB")
SERVED_PIXELS = limit("serve-pixels", 25_000_000, "pixels", "of a picture that is dropped on a served page")
BYTES = limit("image-bytes", 2**28, "bytes", "of a picture's or mask's file")
