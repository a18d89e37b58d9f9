"""Short scripts that a person runs, reads and copies: each one run value, its story, and the number to expect."""
