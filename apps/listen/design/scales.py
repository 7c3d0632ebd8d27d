"""The scales of ITU-T P.800, P.808 and P.835: which method has which, and what the grades on them count.

References: ITU-T P.800 (08/1996), Annexes B (ACR), D (DCR) and E (CCR); P.808 (06/2021), the same by crowds; P.835
(11/2003), speech, background and overall. The words of the grades are in `apps/listen/texts/en.toml`.
"""

from dataclasses import dataclass

from apps.listen.design.settings import Method


@dataclass(frozen=True)
class Scale:
    """A scale with a word for each grade.

    Attributes:
        name: by which it is known in the texts and in the answers.
        measure: what its mean is called.
        grades: the highest first.
    """

    name: str
    measure: str
    grades: tuple[int, ...] = (5, 4, 3, 2, 1)


SCALES = {
    Method.ACR: (Scale("quality", "MOS"),),
    Method.DCR: (Scale("degradation", "DMOS"),),
    Method.CCR: (Scale("comparison", "CMOS", (3, 2, 1, 0, -1, -2, -3)),),
    Method.P835: (Scale("speech", "SIG"), Scale("background", "BAK"), Scale("overall", "OVRL")),
}
ALONE = (Method.ACR, Method.DCR, Method.P835)  # one sound of a page is graded
IN_PAIRS = (Method.PAIRWISE, Method.ABX, Method.CCR)  # two sounds of a page are compared
