"""`mpeace live --service`: a session for a service manager. It waits for its devices, also at the start."""

import time
from dataclasses import replace

from apps.live.devices import portaudio
from apps.live.devices import pulseaudio as pulse
from apps.live.devices import virtual_microphone as virtual
from apps.live.service.state import StateFile
from apps.live.session.session import LiveSettings, Session
from enhance.utils.errors import UsageError, say
from enhance.utils.interrupt import Stopped, Stopper

_TICK = 0.04  # seconds between two looks at everything
_RETRY = 2.0  # seconds between two looks for devices


def run_service(settings: LiveSettings) -> int:
    """Run until a signal ends it. Words go to standard error, the state to the file that `--status` reads.

    On Linux the voice goes to the virtual microphone of `mpeace live --setup`, which is made where it is missing,
    unless another output is named.

    Returns:
        The exit status, 128 + n after signal n. Recordings are finished.

    Raises:
        UsageError: when PortAudio is missing.
        ModelError: when the model cannot be used.
        StuckError: when the sound system hangs; a service manager then starts it anew.
    """
    portaudio.load()
    state, status = StateFile(), 0
    with Stopper() as stopper, portaudio.quiet():
        session: Session | None = None
        try:
            session = _begin(settings, stopper, state)
            while True:
                stopper.check()
                session.poll()
                if state.due:
                    now = session.status()
                    _say(*now.messages)
                    state.write(now.as_dict())
                time.sleep(_TICK)
        except Stopped as stopped:
            status = stopped.exit_status
        finally:
            state.remove()
            if session is not None:
                _say(*session.close())
    return status


def _begin(settings: LiveSettings, stopper: Stopper, state: StateFile) -> Session:
    """Return the session as soon as the devices that it needs are there."""
    said = ""
    while True:
        stopper.check()
        try:
            return Session(_with_output(settings))
        except UsageError as problem:
            if str(problem) != said:
                said = str(problem)
                _say(f"{said}; waiting for it")
        waiting = {"input": settings.source or "the default", "output": settings.target or "the default"}
        state.write({"state": f"waiting ({said})", **waiting})
        with stopper.waiting():
            time.sleep(_RETRY)
        portaudio.rescan()


def _with_output(settings: LiveSettings) -> LiveSettings:
    """Name the virtual microphone as the output when none is named; made if this system can.

    Raises:
        UsageError: when the sound server does not answer, as before the desktop has started it.
    """
    if settings.target is not None or portaudio.system() != "Linux":
        return settings
    try:
        cable, new = virtual.make_cable()
    except pulse.PulseError as error:
        raise UsageError(f"no virtual microphone: {error}") from None
    if new:
        portaudio.rescan()
    return replace(settings, target=cable.target)


def _say(*messages: str) -> None:
    for message in messages:
        say(f"mpeace: {message}")
