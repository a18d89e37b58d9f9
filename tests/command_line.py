"""What tests of both command lines share."""


def one_line_error(main, capsys, argv):
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
    assert lines[0].startswith(main.__module__.partition(".")[0])
    return lines[0]
