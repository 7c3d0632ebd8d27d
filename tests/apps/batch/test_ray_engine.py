"""What `--engine ray` asks of Ray, with a stand-in for it: `test_ray.py` has the real one."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.batch import ray_engine, workers
from apps.batch.ray_cluster import connected
from enhance.io.options import DenoiseOptions
from enhance.io.task import Outcome, Task
from enhance.utils.interrupt import Stopped, Stopper


class Ray(SimpleNamespace):
    """A cluster that does each file when it is handed out, in this process."""

    def __init__(self) -> None:
        super().__init__(asked={})

    def init(self, **options: Any) -> None:
        self.asked = options

    def shutdown(self) -> None:
        pass

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, **_: Any) -> Callable[..., Any]:
        return lambda work: SimpleNamespace(remote=lambda *values: [work(*values)].__iter__())

    def wait(self, running: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return running[:1], running[1:]

    def get(self, reference: Any) -> Any:
        return next(reference)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Ray:
    stand_in = Ray()
    monkeypatch.setitem(sys.modules, "ray", stand_in)  # type: ignore[arg-type]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return stand_in


def run(ends: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Return the outcomes of one task on a cluster in whose processes each try ends so."""
    denoiser = SimpleNamespace(info=SimpleNamespace(name="m"), path="m.onnx")
    monkeypatch.setattr(ray_engine, "_loaded", lambda _: denoiser)
    monkeypatch.setattr("enhance.io.denoise_file.run_task", lambda *_: ends())
    outcomes: list[Outcome] = []
    ray_engine.run_on_ray(
        [Task("a.wav", "b.wav", "")], None, 2, DenoiseOptions(), Stopper(), lambda _, done: outcomes.append(done), {}
    )
    return outcomes


def test_a_file_that_a_node_stopped_as_it_ended_is_done_again(cluster: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = [Stopped(15), Stopped(15), None]

    def ends() -> Outcome:
        if (stop := tries.pop(0)) is not None:
            raise stop
        return Outcome("", None, "done")

    (outcome,) = run(ends, monkeypatch)
    assert (outcome.input, outcome.output, outcome.status, tries) == ("a.wav", "b.wav", "done", [])


def test_a_file_that_each_node_stops_fails_in_the_end(cluster: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[None] = []

    def ends() -> Outcome:
        tries.append(None)
        raise Stopped(15)

    (outcome,) = run(ends, monkeypatch)
    assert (outcome.status, outcome.message) == ("failed", "the nodes that worked on it ended 4 times")
    assert len(tries) == 4


def test_a_row_of_a_manifest_is_cleaned_by_the_model_of_the_batch(
    cluster: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str | None] = []
    monkeypatch.setattr(ray_engine, "_denoise", lambda _, options: loaded.append(options.model))
    monkeypatch.setattr(ray_engine, "_outcome", lambda *_: Outcome("a.wav", "b.wav", "done"))
    task = Task("a.wav", "b.wav", "", options=DenoiseOptions(mix=0.5))  # made before the model was chosen
    ray_engine.run_on_ray([task], None, 1, DenoiseOptions(model="m"), Stopper(), lambda *_: None, {})
    assert loaded == ["m"]


def test_a_model_of_ones_own_is_named_by_its_whole_path(cluster: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of Ray works in another folder."""
    loaded: list[str | None] = []
    monkeypatch.setattr(ray_engine, "_denoise", lambda _, options: loaded.append(options.model))
    monkeypatch.setattr(ray_engine, "_outcome", lambda *_: Outcome("a.wav", "b.wav", "done"))
    for model in ("mine.onnx", "/there/mine.onnx", "small"):
        tasks = [Task("a.wav", "b.wav", "")]
        ray_engine.run_on_ray(tasks, None, 1, DenoiseOptions(model=model), Stopper(), lambda *_: None, {})
    assert loaded == [str(Path.cwd() / "mine.onnx"), "/there/mine.onnx", "small"]


def test_a_cluster_that_runs_here_is_joined_with_its_own_number_of_cores(cluster: Ray) -> None:
    """Ray refuses `num_cpus` where `ray start --head` was called before."""
    with connected(None):
        assert "num_cpus" not in cluster.asked


def test_a_path_through_a_link_stays_the_file_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "far" / "x.wav").write_bytes(b"it")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "folder")
    monkeypatch.chdir(tmp_path)
    task = ray_engine._anywhere(Task(os.path.join("link", "..", "x.wav"), "s3://b/x.wav", ""))  # noqa: PTH118
    assert Path(task.source).is_absolute()
    assert Path(task.source).read_bytes() == b"it"
    assert task.target == "s3://b/x.wav"


def test_memory_is_bounded_in_the_processes_of_ray_as_in_those_here(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr("enhance.Denoiser", lambda model: model)
    monkeypatch.setattr(ray_engine, "limit_memory", limits.append)
    ray_engine._loaded.cache_clear()
    ray_engine._loaded("m")
    ray_engine._loaded("m")
    ray_engine._loaded.cache_clear()
    assert limits == [4_000_000_000]


def test_a_file_of_which_no_more_sound_comes_is_given_up_and_its_process_ends(
    cluster: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, ends = threading.Event(), []
    monkeypatch.setattr(workers, "STALLED", 0.3)
    monkeypatch.setattr(ray_engine, "Timer", lambda *values: SimpleNamespace(start=lambda: ends.append(values)))
    (outcome,) = run(never.wait, monkeypatch)
    never.set()
    assert (outcome.input, outcome.output, outcome.status) == ("a.wav", "b.wav", "failed")
    assert outcome.message == "no more sound came of it in 0.3 s; it may be damaged"
    assert ends == [(5.0, os._exit, (1,))]
