"""What tests of the command line share."""

from wavenet.cli import main

TINY = [
    "--set", "model.dilations=[1,2,4,8]", "--set", "model.residual_channels=16", "--set", "model.gate_channels=16",
    "--set", "model.skip_channels=16", "--set", "train.targets=256", "--set", "train.previews=1",
    "--set", "train.preview_seconds=0.01", "--set", "train.excerpts=4", "--set", "train.evaluations=1",
]  # fmt: skip


def one_line_error(capsys, argv):
    """Run a command that must fail; its whole stderr is one line, which is returned."""
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert code in (1, 2), captured
    assert len(lines) == 1, captured.err
    assert captured.out == ""
    assert lines[0].startswith("wavenet")
    return lines[0]
