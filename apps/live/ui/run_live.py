"""`mpeace live`: a session with its screen or its log, until a key or a signal ends it."""

import time

from apps.live.devices import portaudio
from apps.live.service.state import StateFile
from apps.live.session.session import LiveSettings, Session
from apps.live.ui.json_log import Log
from apps.live.ui.screen import Screen, can_draw, clock
from enhance.utils.errors import FileError, say
from enhance.utils.interrupt import Stopped, Stopper

_TICK = 0.04  # seconds between two looks at everything


def run_live(settings: LiveSettings, show_screen: bool) -> int:
    """Run until it is stopped.

    Args:
        settings: what was asked for.
        show_screen: draw a screen, if the terminal can; else a line of JSON a second.

    Returns:
        The exit status: 0 after the quit key, or when whoever reads the log has ended, 128 + n after signal n.
        Recordings are finished either way.

    Raises:
        UsageError: when it cannot start.
        ModelError: when the model cannot be used.
        FileError: when it shall record from the start, and cannot.
        StuckError: when the sound system hangs; recordings are finished then, too.
    """
    portaudio.load()
    state, status = StateFile(), 0
    with Stopper() as stopper, portaudio.quiet():
        session = Session(settings)
        try:
            if settings.record and not session.recording:
                raise FileError(session.status().messages[-1])
            with Screen(session) if show_screen and can_draw() else Log(session) as front:
                while front.update():
                    stopper.check()
                    session.poll()
                    if state.due:
                        state.write(session.peek().as_dict())
                    time.sleep(_TICK)
        except Stopped as stopped:
            status = stopped.exit_status
        finally:
            state.remove()
            for message in session.close():
                say(f"mpeace: {message}")
        end = session.status()
        lost = (
            f"{end.xruns} xruns, {end.lost_in:.1f} s lost on the way in, {end.lost_out:.1f} s of silence on the way out"
        )
        say(f"mpeace: live for {clock(end.seconds)}, {lost}")
    return status
