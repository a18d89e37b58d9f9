"""What of sound is taken from outside at most; ``--limit NAME=VALUE`` raises any."""

from shared.limits import limit

SECONDS = limit("audio-seconds", 7 * 24 * 3600, "seconds", "of a recording, declared or decoded")
CHANNELS = limit("audio-channels", 32, "channels", "of a recording")
FEATURES = limit("features-bytes", 2**31, "bytes", "of a file of frames")
