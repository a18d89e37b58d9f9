"""What of sound is taken from outside at most; ``--limit NAME=VALUE`` raises any."""

from shared.limits import limit

SECONDS = limit("audio-seconds", 7 * 24 * 3600, "seconds", "of a recording, declared or decoded")
SAMPLES = limit("audio-samples", 10**10, "samples", "of a recording, all channels together, declared or decoded")
CHANNELS = limit("audio-channels", 32, "channels", "of a recording")
SERVED_SECONDS = limit("serve-seconds", 60, "seconds", "of sound that is drawn or copied for a served page at a time")
SERVED_RECORDING = limit("serve-recording", 600, "seconds", "of a recording that is dropped on a served page")
FEATURES = limit("features-bytes", 2**31, "bytes", "of a file of frames")
