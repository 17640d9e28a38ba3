"""Calls as metrics: a few counts a turn, and one observation a stage."""

from __future__ import annotations

from app.metrics import BARGE_INS, CALL_SECONDS, CALLS_ACTIVE, CALLS_ENDED, REPLIES, STAGE_SECONDS
from app.observability.turns import CallBegan, CallOver, Happened, Seen, TurnMeasured


class Measures:
    """An ``Observer`` that counts. Labels are names of agents and engines, and constants of ours."""

    name = "metrics"

    def see(self, seen: Seen) -> None:
        """See ``Observer.see``."""
        match seen:
            case TurnMeasured():
                REPLIES.labels(seen.agent, "yes" if seen.interrupted else "no").inc()
                for stage in seen.stages:
                    labels = (seen.agent, stage.name, stage.port, stage.engine)
                    STAGE_SECONDS.labels(*labels).observe(stage.seconds)
            case Happened(name="barge_in"):
                BARGE_INS.labels(seen.agent).inc()
            case CallBegan():
                CALLS_ACTIVE.labels(seen.agent).inc()
            case CallOver():
                CALLS_ACTIVE.labels(seen.agent).dec()
                CALLS_ENDED.labels(seen.agent, seen.cause, seen.outcome).inc()
                CALL_SECONDS.labels(seen.agent).observe(seen.seconds)
            case _:
                pass
