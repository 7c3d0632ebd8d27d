"""Who failed the trap questions of a test (`apps.listen.design.traps`), and which answers are left for the tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apps.listen.analysis.results import Row
from apps.listen.design.plan import Plan
from apps.listen.serving.answer_store import Answer


@dataclass(frozen=True)
class Attention:
    """Hold what the traps say.

    Attributes:
        answers: that count, without traps.
        asked: listener: traps that were answered.
        failed: listener: traps that were answered wrongly; only who failed one.
        notes: lines that belong beside the figures.
    """

    answers: list[Answer]
    asked: Counter[str]
    failed: Counter[str]
    notes: list[str]

    def columns(self, listener: str) -> Row:
        """Return what stands beside a listener."""
        return {"traps": self.asked[listener], "traps_failed": self.failed[listener]}


def attention(plan: Plan, answers: Sequence[Answer]) -> Attention:
    """Take the traps out of the answers, and with `drop_failed` all answers of who failed one."""
    traps = [answer for answer in answers if "trap" in answer.content]
    kept = [answer for answer in answers if "trap" not in answer.content]
    asked = Counter(answer.listener for answer in traps)
    failed = Counter(answer.listener for answer in traps if not answer.content["passed"])
    notes = [f"{listener} failed {count} of {asked[listener]} traps" for listener, count in failed.items()]
    if plan.settings.drop_failed and failed:
        kept = [answer for answer in kept if answer.listener not in failed]
        notes.append("answers of listeners who failed a trap are left out (drop_failed)")
    return Attention(kept, asked, failed, notes)
