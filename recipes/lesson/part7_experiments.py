"""Part 7 of the tour: the experiments that lessons suggest, each with a hypothesis and a verdict over three seeds."""

# %% [markdown]
# # 7. Ask the networks
#
# So far most of this was arithmetic: what a network *can* see. Does what it learns agree? Lessons on dilation end with
# suggestions: try other schedules, pooling, other pyramids, three dimensions, other tasks. Here they are, as
# experiments. Each has a hypothesis, arms that differ in one thing (same depth, same number of parameters unless the
# table says otherwise), data on which the question can be answered, three seeds, and a verdict that is computed:
# *confirmed* if every part of the hypothesis holds at every seed, *refuted* if some part holds at none, *undecided*
# otherwise.

# %%
import torch

from recipes.lesson.cells import advance, show, tabulate, tell
from recipes.lesson.experiments import EXPERIMENTS
from recipes.lesson.experiments.runner import run_all

# A script that spawns processes would be run again by each of them; run as one, this file does with its own.
results = run_all(
    EXPERIMENTS,
    workers=1 if __name__ == "__main__" else torch.get_num_threads(),
    progress=lambda done, total, _: advance(done / total),
)
tabulate(
    ["question", "verdict"],
    [[result.experiment.title, result.verdict.kind] for result in results.values()],
)

# %%
for result in results.values():
    experiment, rows = result.experiment, result.rows()
    heads = list(dict.fromkeys(head for row in rows for head in row))
    tell(f"## {experiment.title}\n\n**Hypothesis.** {experiment.hypothesis}")
    show(result.figure(), alt=f"{experiment.title} {result.verdict}")
    tabulate(heads, [[row.get(head) for head in heads] for row in rows])
    word, _, reasons = str(result.verdict).partition(". ")
    tell(f"**{word}.** {reasons}\n\n{experiment.note}")

# %% [markdown]
# # What to take home
#
# * Dilation is the strided network evaluated at every shift. It costs no parameters, keeps every position, and is paid
#   for in multiply-adds.
# * One layer's span is linear in its dilation. A stack's field is exponential in its depth, if its dilations multiply;
#   pooling's is, too.
# * A stack has no holes if and only if no dilation exceeds the field of the smaller ones. Start at 1, grow at most by
#   the kernel.
# * A network learns what lies in its field, to the pixel, and nothing beyond it; near a border, what it can reach
#   without leaving the picture.
# * What pooling loses is positions, and thin things with them. Skip connections bring them back for less than dilation
#   costs; most segmentation networks of today go that way, DeepLab and its kin dilate.
# * In sound, padding has to be on the side of the past, or the network reads the answer.
# * Compare with the right constant, on pictures that were held back, with the cost beside the score.
