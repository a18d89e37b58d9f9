"""What the toolkit promises, each promise with its proof and with a naive way that must fail the same proof.

``python -m tests.reliability`` runs them all and writes ``RELIABILITY.md`` and ``tests/reliability/reliability.json``;
a quick tier of the same proofs is among the default tests (``tests/test_reliability.py``).
"""
