"""The lesson's suggested experiments, made real: a hypothesis, equal arms, three seeds, a figure, a computed verdict.

``schedules.EXPERIMENT.run()`` answers one; ``run_all()`` of ``runner`` answers many with a process a core; and
``python -m recipes.lesson.experiments`` prints the tables.
"""

from recipes.lesson.experiments import (
    echo,
    effective_field,
    evaluation,
    gridding,
    order,
    pyramid_rates,
    schedules,
    thin_objects,
    volumes,
)
from recipes.lesson.experiments.trial import Experiment

EXPERIMENTS: tuple[Experiment, ...] = tuple(
    module.EXPERIMENT
    for module in (
        schedules, gridding, thin_objects, pyramid_rates, volumes, order, echo, effective_field, evaluation,
    )
)  # fmt: skip
"""All of them, in the order in which the lesson tells them."""
