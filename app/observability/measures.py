"""Calls as metrics: a few counts a turn, and one observation a stage."""

from __future__ import annotations

from app.metrics import (
    AGENT_CALL_SECONDS,
    AGENT_CALLS_ACTIVE,
    AGENT_CALLS_ENDED,
    BARGE_INS,
    REPLIES,
    STAGE_SECONDS,
)
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
                AGENT_CALLS_ACTIVE.labels(seen.agent).inc()
            case CallOver():
                AGENT_CALLS_ACTIVE.labels(seen.agent).dec()
                AGENT_CALLS_ENDED.labels(seen.agent, seen.cause, seen.outcome).inc()
                AGENT_CALL_SECONDS.labels(seen.agent).observe(seen.seconds)
            case _:
                pass
