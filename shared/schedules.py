"""Dilation schedules. A schedule is a plain tuple of ints, one dilation a layer; any tuple is legal.

These functions only spell the usual ones. A model's configuration stores the tuple itself, so a checkpoint
says exactly which dilations it has, whoever made them up.
"""


def exponential(layers: int, stacks: int = 1, base: int = 2) -> tuple[int, ...]:
    """Powers of ``base``, repeated ``stacks`` times: WaveNet's schedule (van den Oord et al. 2016, section 2.1).

    >>> exponential(4)
    (1, 2, 4, 8)
    >>> exponential(3, stacks=2)
    (1, 2, 4, 1, 2, 4)
    >>> exponential(4, base=3)
    (1, 3, 9, 27)
    """
    return tuple(_counted(base) ** layer for layer in range(_counted(layers))) * _counted(stacks)


def linear(layers: int, stacks: int = 1) -> tuple[int, ...]:
    """Growing by one a layer.

    >>> linear(5)
    (1, 2, 3, 4, 5)
    """
    return tuple(range(1, _counted(layers) + 1)) * _counted(stacks)


def fibonacci(layers: int, stacks: int = 1) -> tuple[int, ...]:
    """Fibonacci's numbers: growth by the golden ratio, slower than doubling.

    >>> fibonacci(6)
    (1, 1, 2, 3, 5, 8)
    """
    numbers = [1, 1]
    while len(numbers) < layers:
        numbers.append(numbers[-2] + numbers[-1])
    return tuple(numbers[: _counted(layers)]) * _counted(stacks)


def prime(layers: int, stacks: int = 1) -> tuple[int, ...]:
    """One, then the primes: neighbouring layers share no factor.

    >>> prime(6)
    (1, 2, 3, 5, 7, 11)
    """
    numbers = [1]
    candidate = 2
    while len(numbers) < layers:
        if all(candidate % known for known in numbers[1:]):
            numbers.append(candidate)
        candidate += 1
    return tuple(numbers[: _counted(layers)]) * _counted(stacks)


def _counted(number: int) -> int:
    if number < 1:
        raise ValueError(f"layers, stacks and base of a schedule are at least 1, not {number}")
    return number
