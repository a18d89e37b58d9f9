"""What every command line here does alike: errors in one line, exit codes, stdout for results only.

Exit codes: 0 done · 1 failed, the reason is on stderr · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM, work saved ·
141 the reader of stdout left.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import secrets
import signal
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from shared import limits
from shared.errors import InputError, shown

FAILED, USAGE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong flag is answered in one line that says what to do."""

    def __init__(self, *args: Any, **settings: Any):
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(*args, **settings)

    def error(self, message: str) -> NoReturn:
        """Print one line and end with exit code 2."""
        if message.startswith("unrecognized arguments:"):
            given = (message.split(maxsplit=2)[2:] or ["''"])[0].split(" ")[0].split("=")[0]
            near = difflib.get_close_matches(given, self._option_string_actions, n=1)
            message = f"no option {given}" if given.startswith("-") else f"{given!r} is one argument too many"
            message += f", did you mean {near[0]}?" if near else ""
        print(f"{self.prog}: error: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(USAGE)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:
        """Have the sub-command, which knows its options, complain about an unknown one.

        ``argv`` is kept with what it says, for processes that are to do the same.
        """
        argv = list(sys.argv[1:] if args is None else args)
        parsed, unknown = self.parse_known_args(argv, namespace)
        if unknown:
            getattr(parsed, "parser", self).error(f"unrecognized arguments: {' '.join(unknown)}")
        parsed.argv = argv
        return parsed


class LimitFlag(argparse.Action):
    """Takes effect at once; ``list`` prints the table and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """As argparse asks for it."""
        text = given[1]
        if text == "list":
            print(limits.table())
            parser.exit()
        try:
            limits.set_limit(text)
        except InputError as error:
            parser.error(str(error))


def common_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that mean the same everywhere."""
    group = parser.add_argument_group("common")
    group.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, mps …")
    group.add_argument("--threads", type=positive, metavar="N", help="threads of one product; default: torch's choice")
    group.add_argument("-q", "--quiet", action="store_true", help="results and errors only")
    group.add_argument(
        "--limit", action=LimitFlag, metavar="NAME=N", help="raise a limit on what is read; `--limit list` shows them"
    )
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def command(commands: argparse._SubParsersAction, name: str, summary: str) -> Parser:
    """Add a command with its common flags; ``summary`` is also its description."""
    added = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    added.set_defaults(parser=added)
    common_flags(added)
    return added


def train_flags(train: argparse.ArgumentParser, presets: str, example: str) -> None:
    """What ``train`` takes in both crafts; ``shared.training.settings`` turns it into a run and a plan."""
    train.add_argument("-o", "--out", metavar="RUN", help="run folder (default: runs/NAME, numbered)")
    train.add_argument("--resume", metavar="RUN", help="go on with this run; needs only DATA, where that has moved")
    train.add_argument("--overwrite", action="store_true", help="start again in a folder that holds a run")
    train.add_argument("--preset", metavar="NAME", help=presets)
    train.add_argument("--steps", type=positive, help="steps to train; with --resume, the new total")
    train.add_argument("--minutes", type=positive_float, help="minutes to train; with --resume, minutes to add")
    train.add_argument("--procs", type=positive, metavar="N", help="share each step out to N processes of this machine")
    train.add_argument("--save-every", type=positive, metavar="N", help="steps between checkpoints")
    seed_flag(train, "of the first weights and the order of the examples")
    train.add_argument("--config", metavar="TOML", help="settings from a file, with tables such as [train]")
    train.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="A.B=C",
        help=f"one setting, such as {example}; may be repeated",
    )  # fmt: skip
    train.add_argument("--print-config", action="store_true", help="print the settings as JSON and stop")


def seed_flag(command: argparse.ArgumentParser, of: str) -> None:
    """``--seed``; ``seed_of`` reads it."""
    command.add_argument("--seed", metavar="N", help=f"a number, or random (default: 0): {of}")


def seed_of(arguments: argparse.Namespace) -> int:
    """``--seed`` as a number; ``random`` draws one."""
    text = arguments.seed if arguments.seed is not None else "0"
    if text == "random":
        return secrets.randbelow(2**31)
    if not text.isdecimal() or int(text) >= 2**63:
        raise InputError(f"--seed {text}: a whole number from 0 up, or random")
    return int(text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if not 1 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 2**31")
    return number


def positive_float(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below 1e9")
    return number


positive.__name__, positive_float.__name__ = "whole number", "number"  # as argparse quotes them


def announcing(arguments: argparse.Namespace) -> Callable[[str], None]:
    """What a command that serves a page does with its address: by ``--quiet`` and ``--open``."""

    def ready(url: str) -> None:
        print(url, flush=True)
        if not arguments.quiet:
            print("open it in a browser on this computer; Ctrl-C ends it", file=sys.stderr)
        if arguments.open and not webbrowser.open(url):
            print("no browser could be started; open the address by hand", file=sys.stderr)

    return ready


def run(program: str, command: Callable[[], int | None], debug: bool) -> int:
    """Run a command and turn what can go wrong into a line and an exit code."""
    with _terminable():
        return _answered(program, command, debug)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Within, SIGTERM means what Ctrl-C does: `kill`, `timeout`, `docker stop` and cluster schedulers send it."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not the main thread: whoever owns that decides about signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _answered(program: str, command: Callable[[], int | None], debug: bool) -> int:
    try:
        with contextlib.suppress(AttributeError):  # file names are bytes: what is no text must not stop a command
            sys.stdout.reconfigure(errors="surrogateescape")
        code = command() or 0
        sys.stdout.flush()
        return code
    except InputError as error:
        if debug:
            raise
        print(f"{program}: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return INTERRUPTED
    except MemoryError:
        print(f"{program}: error: not enough memory; ask for less at once, or a smaller model", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or else Python complains as it ends
        return CLOSED_PIPE
    except OSError as error:
        if debug:
            raise
        named = f"{shown(str(error.filename))}: " if error.filename else ""
        print(f"{program}: error: {named}{error.strerror or error}; choose another path", file=sys.stderr)
        return FAILED
    except Exception as error:
        if debug:
            raise
        text = shown(" ".join(f"{type(error).__name__}: {error}".split())[:500])
        print(f"{program}: error: {text}; this is a fault of the program: --debug shows where", file=sys.stderr)
        return FAILED
