"""The command line as a person meets it: results on stdout, talk on stderr, errors in one line."""

import io
import json
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.wavenet.command_line import TINY, one_line_error
from wavenet import wav
from wavenet.cli import main
from wavenet.model import WaveNet


def test_train_resume_generate_evaluate_info(run, recordings, tmp_path, capsys):
    assert main(["train", "--resume", str(run), "--steps", "5", "-q"]) == 0
    assert "step 5" in capsys.readouterr().out
    assert len(list((run / "previews").glob("step-*.wav"))) == 2

    out = tmp_path / "out"
    assert main(["generate", str(run), "--seconds", "0.05", "-n", "2", "--seed", "7", "-o", f"{out}/", "-q"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(out / "mine-seed7.wav"), str(out / "mine-seed8.wav")]
    with wave.open(printed[0]) as file:
        assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (16_000, 800, 2)
    assert json.loads((out / "mine-seed8.wav.json").read_text())["seed"] == 8

    assert main(["evaluate", str(run), str(recordings), "--json", "-q"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["part"] == "validation"
    assert 0 < result["bits_per_sample"] < 9
    assert result["yardsticks"].keys() == {"order_0", "linear_32"}

    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["receptive_field"]["samples"] == 16
    assert facts["run"]["step"] == 5
    assert main(["info", str(run)]) == 0
    assert "receptive field 16 samples" in capsys.readouterr().out


def test_the_same_seed_is_the_same_file_and_the_method_agrees(run, tmp_path):
    for name in ("a.wav", "b.wav"):
        assert main(["generate", str(run), "--seconds", "0.05", "--seed", "3", "-o", str(tmp_path / name), "-q"]) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    WaveNet.from_pretrained(run).generate(seconds=0.05, seed=3).save(tmp_path / "c.wav")
    assert (tmp_path / "c.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_a_prompt_is_continued(run, recordings, tmp_path):
    prompt = str(recordings / "melody 0.wav")
    out = tmp_path / "continued.wav"
    argv = [
        "generate",
        str(run),
        "--prompt",
        prompt,
        "--prompt-seconds",
        "0.5",
        "--seconds",
        "0.1",
        "-o",
        str(out),
        "-q",
    ]
    assert main(argv) == 0
    with wave.open(str(out)) as made, wave.open(prompt) as given:
        assert made.getnframes() == 8000 + 1600
        assert made.readframes(8000) == given.readframes(8000)


def test_sound_goes_to_stdout_and_nothing_else_does(run):
    done = subprocess.run(
        [sys.executable, "-m", "wavenet", "generate", str(run), "--seconds", "0.05", "-o", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    with wave.open(io.BytesIO(done.stdout)) as file:
        assert file.getframerate() == 16_000
    assert len(done.stdout) == 44 + 2 * 800
    assert b"seed 0" in done.stderr


def test_prepare_says_what_it_found_and_writes_a_copy(recordings, tmp_path, capsys):
    (recordings / "notes.wav").write_text("not a sound")
    try:
        assert main(["prepare", str(recordings), "-o", str(tmp_path / "copy"), "--json"]) == 0
    finally:
        (recordings / "notes.wav").unlink()
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["files"] == 4
    assert "notes.wav" in found["refused"][0]
    assert "notes.wav" in captured.err
    copies = sorted((tmp_path / "copy").iterdir())
    assert [path.name for path in copies] == [f"melody {at}.wav" for at in range(4)]
    assert copies[0].read_bytes() == (recordings / "melody 0.wav").read_bytes()


def test_settings_come_from_preset_file_and_flags_in_this_order(tmp_path, capsys):
    (tmp_path / "run.toml").write_text("[model]\nkernel_size = 3\nskip_channels = 96\n[train]\nbatch = 7\n")
    argv = ["train", "x", "--preset", "tiny", "--config", str(tmp_path / "run.toml"), "--seed", "9"]
    assert main([*argv, "--set", "model.skip_channels=80", "--save-every", "11", "--print-config"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["model"]["residual_channels"] == 32
    assert values["model"]["kernel_size"] == 3
    assert values["model"]["skip_channels"] == 80
    assert (values["train"]["batch"], values["train"]["seed"], values["train"]["save_every"]) == (7, 9, 11)


def test_help_is_instant_and_does_not_load_torch():
    code = "import sys, wavenet.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: assert 'torch' not in sys.modules"
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=Path(__file__).parents[2])
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.3 * 5  # the promise is 0.3 s; a busy machine gets some room


def test_bench_measures_every_engine_and_says_whether_it_is_right(run, capsys, monkeypatch):
    monkeypatch.setattr("wavenet.bench.LONG_ENOUGH", 0.05)
    assert main(["bench", str(run), "--streams", "1", "9", "--threads", "1", "--json", "-q"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["engine"], row["precision"]) for row in rows} == {
        ("reference", "float32"), ("cached", "float32"),
            ("compiled", "float32"), ("compiled", "bfloat16"), ("compiled", "int8"),
    }  # fmt: skip
    assert {row["streams"] for row in rows} == {1, 9}
    assert all(row["agrees_with_reference"] and row["samples_per_second"] > 0 for row in rows)
    assert main(["bench", str(run), "--streams", "1", "--threads", "1", "-q"]) == 0
    assert "compiled" in capsys.readouterr().out


def test_demo_writes_a_sound_a_curve_and_a_picture(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "--steps", "2", "--seconds", "0.2", "--threads", "1", "-q"]) == 0
    for name in ("demo.wav", "curve.png", "real-and-generated.png"):
        assert (out / name).stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "bits per sample" in printed
    assert "next: wavenet generate" in printed
    assert "--overwrite" in one_line_error(capsys, ["demo", "-o", str(out), "--steps", "2"])


def test_a_stopped_generation_leaves_a_whole_file(run, tmp_path):
    out = tmp_path / "long.wav"
    process = subprocess.Popen(
        [sys.executable, "-m", "wavenet", "generate", str(run), "--seconds", "3600", "-o", str(out)],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (out.exists() and out.stat().st_size > 10_000) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"can be played" in err
    with wave.open(str(out)) as file:
        assert 44 + 2 * file.getnframes() == out.stat().st_size


def test_a_published_model_has_info_without_a_run(run, tmp_path, capsys):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert main(["info", str(tmp_path), "--json"]) == 0
    assert "run" not in json.loads(capsys.readouterr().out)


def test_sound_that_may_have_been_trained_on_is_said_to_be(run, recordings, tmp_path, capsys):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in recordings.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert main(["evaluate", str(run), str(moved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["part"] == "validation"  # the same files, elsewhere
    (moved / "melody 0.wav").unlink()
    assert main(["evaluate", str(run), str(moved), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["part"] == "all"
    assert "may hold sound that the model was trained on" in captured.err


def test_silence_alone_can_be_trained_on(tmp_path):
    with wav.WavWriter(tmp_path / "silence.wav") as file:
        file.write(np.zeros(8000))
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "run"), "--steps", "1", "-q", *TINY]) == 0


@pytest.mark.parametrize("prompted", [False, True])
def test_a_clip_resumed_is_the_clip_of_one_call(run, recordings, tmp_path, prompted, capsys):
    more = ["--prompt", str(next(recordings.iterdir())), "--prompt-seconds", "0.1"] if prompted else []
    common = ["generate", str(run), "--seed", "5", "-q", *more]
    assert main([*common, "--seconds", "0.5", "-o", str(tmp_path / "whole.wav")]) == 0
    assert main([*common, "--seconds", "0.2", "-o", str(tmp_path / "part.wav")]) == 0
    assert (tmp_path / "part.wav").read_bytes() != (tmp_path / "whole.wav").read_bytes()
    with (tmp_path / "part.wav").open("ab") as file:
        file.write(b"a killed write that the header does not count")
    assert main(["generate", "--resume", str(tmp_path / "part.wav"), "--seconds", "0.5", "-q"]) == 0
    assert (tmp_path / "part.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    capsys.readouterr()
    assert main(["generate", "--resume", str(tmp_path / "part.wav"), "-q"]) == 0
    assert "is complete: 0.5 s" in capsys.readouterr().err


def test_how_it_is_drawn_is_noted_and_gone_on_with_several_clips_together(run, tmp_path, capsys):
    common = ["generate", str(run), "--temperature", "0.9", "--top-k", "30", "--top-p", "0.95", "-n", "3", "-q"]
    for name, seconds in (("whole", "0.2"), ("part", "0.1")):
        assert main([*common, "--seconds", seconds, "-o", f"{tmp_path / name}/"]) == 0
    parts = sorted((tmp_path / "part").glob("*.wav"))
    note = json.loads((tmp_path / "part" / "mine-seed1.wav.json").read_text())
    assert (note["temperature"], note["top_k"], note["top_p"], note["seed"]) == (0.9, 30, 0.95, 1)
    capsys.readouterr()
    assert main(["generate", "--resume", *map(str, parts), str(parts[0]), "--seconds", "0.2", "-q"]) == 0
    assert capsys.readouterr().out.split() == [str(path) for path in parts]
    for path in parts:
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


def test_greedy_is_temperature_0_and_draws_the_same_for_every_seed(run, tmp_path):
    made = []
    for name, flags in (("a", ["--greedy"]), ("b", ["--temperature", "0", "--seed", "9"]), ("c", ["--top-k", "1"])):
        path = tmp_path / f"{name}.wav"
        assert main(["generate", str(run), "--seconds", "0.02", *flags, "-o", str(path), "-q"]) == 0
        made.append(path.read_bytes())
    assert made[0] == made[1] == made[2]
    assert json.loads((tmp_path / "a.wav.json").read_text())["temperature"] == 0


def test_a_note_from_before_top_k_is_still_gone_on_with(run, tmp_path):
    for name, seconds in (("whole", "0.1"), ("part", "0.05")):
        assert main(["generate", str(run), "--seconds", seconds, "-o", str(tmp_path / f"{name}.wav"), "-q"]) == 0
    note = tmp_path / "part.wav.json"
    values = json.loads(note.read_text())
    for newer in ("top_k", "top_p", "input", "input_fingerprint"):
        del values[newer]
    note.write_text(json.dumps(values))
    assert main(["generate", "--resume", str(tmp_path / "part.wav"), "--seconds", "0.1", "-q"]) == 0
    assert (tmp_path / "part.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--greedy", "--temperature", "0.5"], "--greedy and --temperature: greedy is temperature 0"),
        (["--greedy", "--top-k", "5"], "--greedy and --top-k: greedy leaves nothing to choose from"),
        (["--temperature", "0", "--top-p", "0.5"], "--temperature 0 and --top-p"),
        (["--top-k", "0"], "--top-k"),
        (["--top-p", "1.5"], "--top-p 1.5: a share above 0 and up to 1"),
        (["--top-p", "nan"], "--top-p nan"),
    ],
    ids=str,
)
def test_ways_to_draw_that_make_no_sense_are_refused(flags, says, run, capsys):
    assert says in one_line_error(capsys, ["generate", str(run), "-q", *flags])
