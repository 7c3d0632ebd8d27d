"""`mpeace demo --export`: the live tab as a folder that any web server serves, since all is computed in the browser.

Beside the page lies `mpeace.js`, by which pages of others denoise a microphone for their calls and recordings.
"""

import json
from collections.abc import Collection
from pathlib import Path

from apps.demo.browser.files import browser_files
from apps.demo.browser.onnxruntime_web import fetch
from apps.demo.service.models import models_for_streams
from apps.demo.static_files import browser_module, live_script, static_text
from enhance.utils.atomic import write_bytes, write_text
from enhance.utils.errors import UsageError, problem_on_oserror

ENGINE = "in_browser"  # folder of scripts, runtime and networks
_MARK = f"{ENGINE}/worker.js"  # of a folder that was exported before
_HEAD = """\
const element = document.querySelector("#live");
const server = null;
const watchers = [];
const watch = (_, watcher) => watchers.push(watcher);
const props = {props};
"""


def export_page(folder: Path, runtime: str, model: str | None) -> None:
    """Write the page. A folder that holds one already gets the new one, and keeps nothing of the models of the old.

    Args:
        folder: to make; or empty, or a former page.
        runtime: where ONNX Runtime Web comes from, as for `apps.demo.browser.onnxruntime_web.fetch`.
        model: name or ONNX file that is chosen first; None for the default.

    Raises:
        UsageError: the folder holds something else or cannot be written, or the runtime cannot be had.
        ModelError: a model cannot be used.
    """
    with problem_on_oserror(f"--export {folder}", UsageError):
        if folder.exists() and not (folder / _MARK).is_file() and any(folder.iterdir()):
            raise UsageError(f"--export {folder}: the folder holds something else; name a new one")
    models = models_for_streams(model)
    files = browser_files(fetch(runtime), models)
    props = {
        "value": {"attenuation_limit": None, "mix": 1, "model": next(iter(models))},
        "models": list(models),
        "engine": files.for_page(f"{ENGINE}/"),
    }
    script = _HEAD.replace("{props}", json.dumps(props)) + live_script() + static_text("export/strength.js")
    page = static_text("export/index.html").replace("<!-- live.html -->", static_text("live.html"))
    with problem_on_oserror(f"--export {folder}", UsageError):
        (folder / ENGINE).mkdir(parents=True, exist_ok=True)
        _remove_others(folder / ENGINE, files.paths)
        for name, path in files.paths.items():
            write_bytes(folder / ENGINE / name, path.read_bytes())
        write_text(folder / "live.css", static_text("live.css"))
        for name in ("page.css", "licences.txt"):
            write_text(folder / name, static_text(f"export/{name}"))
        engine = json.dumps(props["engine"])
        write_text(folder / "mpeace.js", f"const ENGINE = {engine};\n{browser_module()}")
        write_text(folder / "page.js", script)
        write_text(folder / "index.html", page)


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove the scripts, runtimes and networks of a former page that are none of the names.

    Before the new ones are written: where upper and lower case are the same file, it could be one of them.
    """
    kinds = {Path(name).suffix for name in names}
    for path in folder.iterdir():
        if path.suffix in kinds and path.name not in names:
            path.unlink()
