"""Receptive fields: what one output of a network can see of its input.

``window`` answers by arithmetic, ``gradient`` by asking the network itself.
"""

from shared.rf.window import Window, stack, through

__all__ = ["Window", "stack", "through"]
