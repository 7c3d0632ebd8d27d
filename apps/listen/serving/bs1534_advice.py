"""Notes for a researcher before a test starts: what is not in it, and where it leaves BS.1534-3."""

from apps.listen.design.plan import Plan
from apps.listen.design.scales import SCALES
from apps.listen.design.settings import Loudness, Method
from apps.listen.serving.stimuli import Stimuli

LONGEST_SECONDS = 12.0  # of an excerpt (section 5.1)
MOST_NAMES = 5  # of items in a note
FEWEST_ITEMS = 5  # and 1.5 times the number of systems (section 7.1)


def advice(plan: Plan, stimuli: Stimuli) -> list[str]:
    """Return notes for the researcher, one a line; [] for a test without surprises."""
    lines = []
    for entry in plan.sets.values():
        if entry.left_out:
            count, names = len(entry.left_out), ", ".join(entry.left_out[:MOST_NAMES])
            more = ", ..." if count > MOST_NAMES else ""
            what, whom = ("item", "it") if count == 1 else ("items", "them")
            lines.append(f"{count} {what} not in the test, since not every folder has {whom}: {names}{more}")
    if plan.settings.loudness is Loudness.NONE:
        lines.append('loudness = "none": sounds are played as loud as they are in their files')
    longest = max(shape.frames / shape.sample_rate for shape in stimuli.shapes.values())
    if longest > LONGEST_SECONDS and plan.method not in SCALES:
        lines.append(f"the longest sound has {longest:.1f} s; BS.1534-3 (5.1) wants {LONGEST_SECONDS:g} s at most")
    if not any(plan.spare.values()) and plan.settings.training:
        lines.append("practice uses items of the test, since it has all of them; items = N would leave some out")
    if plan.method is Method.MUSHRA:
        lines += _mushra(plan, stimuli)
    return lines


def _mushra(plan: Plan, stimuli: Stimuli) -> list[str]:
    lines = []
    wanted = max(FEWEST_ITEMS, -(-3 * len(plan.systems) // 2))
    fewest = min(map(len, plan.items.values()))
    if fewest < wanted:
        lines.append(f"{fewest} items in a set; BS.1534-3 (7.1) wants {wanted} for {len(plan.systems)} systems")
    rate = min(shape.sample_rate for shape in stimuli.shapes.values())
    highest = max(plan.settings.anchors_hz, default=0)
    if not highest:
        lines.append("no anchor; BS.1534-3 (5.1) wants one of 3.5 kHz and one of 7 kHz")
    if rate < 2.5 * highest:
        lines.append(
            f"at {rate} Hz the {highest} Hz anchor is nearly the reference: few will be screened by it, "
            "and anchors_hz can name a lower one"
        )
    return lines
