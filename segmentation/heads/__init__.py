"""Heads turn a backbone's features into a score a class and cell.

A head is a module ``Features -> logits [b, k, h', w']`` with ``aspp``, its pyramid; ``last``, the path within it of
the layer whose shape depends on the number of classes; and ``field``, what one logit sees in cells of the deepest
features, or ``None`` where finer ones have a say, too. ``FCNHead`` is given one depth instead of all.
"""
