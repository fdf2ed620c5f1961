"""One situation in one room, in this process: python -m tests.conformance ROOM SITUATION [--bare] [--early]."""

from __future__ import annotations

import logging
import sys

if "--bare" in sys.argv:
    from tests.conformance import bare

    bare.install()

from tests.conformance import program, rooms, situations

logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
room, situation = sys.argv[1:3]
situations.SITUATIONS[situation].play(
    program.Door((rooms.ROOMS | rooms.VARIANTS)[room], traced="--bare" not in sys.argv, early="--early" in sys.argv)
)
