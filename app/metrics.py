"""The product's Prometheus metrics, each with its unit and labels. Labels never hold personal data."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDER_WAITING = Gauge("trunkline_recorder_waiting_events", "Events of calls that wait to be stored")
RECORDER_WRITTEN = Counter("trunkline_recorder_written_events_total", "Events of calls that were stored")
RECORDER_LOST = Counter(
    "trunkline_recorder_lost_events_total",
    "Events of calls that were not stored: overflow (too many waited), refused (by the database), "
    "orphaned (their call was not stored)",
    ["reason"],
)
RECORDER_FAILURES = Counter(
    "trunkline_recorder_failed_writes_total",
    "Batches that could not be written because the database was away",
)
RECORDER_BATCH_SECONDS = Histogram(
    "trunkline_recorder_batch_seconds",
    "Time to store one batch of events, in seconds",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CALLS_ABANDONED = Counter(
    "trunkline_calls_abandoned_total", "Calls closed because the process that answered them was gone"
)
DEADLINES = Counter(
    "trunkline_deadlines_total",
    "Deadlines of conversations that passed, by name (docs/turn-taking.md)",
    ["deadline"],
)
WATCHDOG_FIRINGS = Counter(
    "trunkline_watchdog_firings_total", "Those of them that should not pass", ["deadline"]
)
SPECULATIONS = Counter(
    "trunkline_speculations_total",
    "Replies begun before the caller's turn was over: started, used, dropped",
    ["fate"],
)
OVERLAPS = Counter(
    "trunkline_overlaps_total", "Speech over the agent, by what it was judged to be", ["verdict"]
)
ECHOES = Counter(
    "trunkline_echoes_total", "Onsets of the agent's own echo that were not taken for the caller"
)
INTONATION_FAILURES = Counter(
    "trunkline_turn_detector_failures_total", "Pauses that the turn detector did not judge; words did alone"
)
PHRASES_NOT_PREPARED = Counter(
    "trunkline_phrases_not_prepared_total", "Fixed sentences whose audio could not be made beforehand"
)
FINALS_LOST = Counter(
    "trunkline_recogniser_finals_lost_total", "Final transcripts that a recogniser owed and never gave"
)
AUDIO_DROPPED = Counter(
    "trunkline_recogniser_audio_dropped_seconds_total",
    "Audio of callers that a recogniser could not take and never heard, in seconds",
    ["engine"],
)
ENGINE_BREAKER = Gauge(
    "trunkline_engine_breaker", "Whether an engine is asked: 0 yes, 1 on trial, 2 no", ["port", "engine"]
)
ENGINE_FAILURES = Counter(
    "trunkline_engine_failures_total",
    "Uses of an engine that failed: error, timeout (late by its own measure), trial; refused: it works, "
    "and does not serve that request",
    ["port", "engine", "reason"],
)
ENGINE_SWITCHES = Counter(
    "trunkline_engine_switches_total",
    "Calls that went on with another engine of the list",
    ["port", "engine"],
)
ENGINE_FIRST_SECONDS = Histogram(
    "trunkline_engine_first_seconds",
    "Time from asking an engine to its first token, audio or final transcript, in seconds",
    ["port", "engine"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
)
HEDGES = Counter(
    "trunkline_engine_hedges_total",
    "Second requests to a language model that was late: won (answered first), lost",
    ["engine", "fate"],
)
LANGUAGE_TOKENS = Counter(
    "trunkline_language_model_tokens_total",
    "Tokens that replies took, as servers count them: prompt, cached (of the prompt), completion",
    ["engine", "kind"],
)
OUTAGES = Counter("trunkline_engine_outages_total", "Replies that the script of the outage gave")
CALLS_ACTIVE = Gauge("trunkline_calls_active", "Conversations running in this process")
CALLS_ENDED = Counter("trunkline_calls_ended_total", "Calls by hang-up cause", ["cause"])
CALLS_REFUSED = Counter(
    "trunkline_calls_refused_total", "Calls turned away by the webhook: full or draining", ["reason"]
)
