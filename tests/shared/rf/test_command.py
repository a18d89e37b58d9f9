"""The ``receptive-field`` command: answers on stdout, errors in one line, no torch."""

import json
import subprocess
import sys

import pytest

from shared import rf
from shared.rf.cli import main


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code in (1, 2)
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("receptive-field: error: ")
    return line


def test_a_network_is_answered_by_its_line_its_verdict_and_its_shares(capsys) -> None:
    assert answer(capsys, "3@2,4,8").splitlines() == [
        "3@2,4,8: 29 [-14..+14], jump 1, 52% of the span is read",
        "  gridded: rate 2 exceeds the 1-wide field of the smaller rates",
        "  reads 52% of the span, 27% of its square; σ of the paths 7.48",
    ]


def test_networks_are_answered_in_order_and_a_lone_global_branch_in_a_line(capsys) -> None:
    lines = answer(capsys, "3", "global", "5").splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == ["3", "global", "5"]
    assert "global: the whole input, through a global branch" in lines


def test_with_a_rate_it_speaks_of_milliseconds(capsys) -> None:
    wavenet = "2@1,2,4,8,16,32,64,128,256,512*3 causal"
    last = answer(capsys, wavenet, "--rate", "16000").splitlines()[-1]
    assert last == "  at 16,000 Hz 191.9 ms: history 191.8 ms, lookahead 0 ms; an output every 0.0625 ms"


def test_json_holds_the_field_the_verdict_and_the_milliseconds(capsys) -> None:
    (facts,) = json.loads(answer(capsys, "1 | 3@6 | 3@12 | 3@18", "--rate", "1000", "--json"))
    field = rf.parse("1 | 3@6 | 3@12 | 3@18").field
    assert {name: facts[name] for name in field.to_dict()} == field.to_dict()
    assert facts["coverage_2d"] * 37 * 37 == pytest.approx(25)
    assert facts["milliseconds"] == {"size": 37, "history": 18, "lookahead": 18, "jump": 1}
    assert json.loads(answer(capsys, "global", "--json"))[0]["sigma"] is None


def test_a_design_is_a_network_that_can_be_asked_for(capsys) -> None:
    out = answer(capsys, "--design", "3840", "--kernel", "2", "--causal")
    text = "2@1,2,4,8,16,32,64,128,256,512,1024,1792 causal"
    assert out.startswith(f"{text}: 3840 [-3839..0], jump 1, gap-free\n")
    assert answer(capsys, text) == out
    assert answer(capsys, "--design", "1").startswith("1: 1 [0..0], jump 1, gap-free\n")


def test_out_writes_a_picture(capsys, tmp_path) -> None:
    picture = tmp_path / "picture.png"
    answer(capsys, "3@1,2,4", "3@2,4", "-o", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "nowhere" in refusal_of_picture(capsys, tmp_path)


def refusal_of_picture(capsys, tmp_path) -> str:
    assert main(["3", "-o", str(tmp_path / "nowhere" / "picture.png")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a network, such as 3@1,2,4,8, or --design N"),
        (["3@"], "'3@': a rate is a number from 1 to 999,999, not the end; write it like 3@1,2,4,8"),
        (["3 | 3/2"], "'3 | 3/2': branches meet cell by cell, but their jumps are 1 and 2"),
        (["x" * 500], "x…'"),
        (["3", "--desing", "4"], "no option --desing, did you mean --design?"),
        (["--design", "9", "--kernel", "1"], "--kernel 1: "),
        (["--design", "300000"], "--design 300000: at most 262,144 inputs"),
        (["3@2", "--causal"], "--kernel and --causal are of --design"),
        (["3", "--rate", "0"], "--rate"),
    ],
)
def test_an_error_is_one_line_that_names_the_thing_and_the_way_out(capsys, arguments, said) -> None:
    assert said in refusal(capsys, *arguments)


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "shared.rf", "3@1,2,4,8"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3@1,2,4,8: 31 [-15..+15], jump 1, gap-free\n")
