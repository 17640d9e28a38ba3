"""The product's Prometheus metrics, each with its unit and labels. Labels never hold personal data."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDER_WAITING = Gauge("trunkline_recorder_waiting_events", "Events of calls that wait to be stored")
RECORDER_WRITTEN = Counter("trunkline_recorder_written_events_total", "Events of calls that were stored")
RECORDER_LOST = Counter(
    "trunkline_recorder_lost_events_total",
    "Events of calls that were not stored: overflow (too many waited), refused (by the database), "
    "orphaned (their call was not stored), unreadable (the spool lost them)",
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
SPOOL_WAITING = Gauge(
    "trunkline_spool_waiting_events",
    "Events of calls that are in a spool and not in the database, once the oldest is 2 seconds old: of this "
    "process (self), of processes that are gone (gone)",
    ["owner"],
)
SPOOL_OLDEST_SECONDS = Gauge(
    "trunkline_spool_oldest_seconds",
    "Age of the oldest event of this process that is not in the database, in seconds",
)
SPOOL_BYTES = Gauge("trunkline_spool_bytes", "Size of this process's spool")
SPOOL_SYNC_SECONDS = Histogram(
    "trunkline_spool_sync_seconds",
    "Time for the disk to keep what was written to the spool, in seconds",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SPOOL_FAILURES = Counter(
    "trunkline_spool_failures_total",
    "What the spool's disk did not do: write, sync, read, delete; encode: an event has no form in the spool; "
    "broken: the spool stopped",
    ["reason"],
)
SPOOL_REPLAYED = Counter(
    "trunkline_spool_replayed_events_total", "Events that processes left in their spools and that were stored"
)
SPOOL_DAMAGED = Counter(
    "trunkline_spool_damaged_total", "Places of spools that could not be read; the files are kept as .damaged"
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
LIVE_COMMANDS = Counter(
    "trunkline_live_commands_total",
    "Operators' commands to running calls, by what was to be done",
    ["command"],
)
CALLS_REFUSED = Counter(
    "trunkline_calls_refused_total", "Calls turned away by the webhook: full or draining", ["reason"]
)
RECORDINGS_WRITTEN = Counter(
    "trunkline_recordings_written_total", "Recordings completed on this machine's disk"
)
RECORDINGS_FAILED = Counter(
    "trunkline_recordings_failed_total",
    "Recordings of which something is lost: stalled (the disk was too slow), disk (it refused: full, no "
    "rights), overflow (too much of the agent waited to be heard), fault (ours), length (not that of the "
    "call), missing (no file), carrier (it gave none)",
    ["reason"],
)
RECORDINGS_MENDED = Counter(
    "trunkline_recordings_mended_total", "Recordings of killed processes that were completed afterwards"
)
OUTBOX_WAITING = Gauge("trunkline_outbox_waiting_calls", "Calls whose work after the call is not all done")
OUTBOX_OVERDUE_SECONDS = Gauge(
    "trunkline_outbox_overdue_seconds", "How long the first of them has waited to be handed to a worker"
)
OUTBOX_SENT = Counter("trunkline_outbox_sent_total", "Messages handed to the broker; one a call, as a rule")
OUTBOX_FAILURES = Counter(
    "trunkline_outbox_failures_total",
    "Looks at the outbox in vain: broker, database (which was away)",
    ["away"],
)
STEPS_DONE = Counter(
    "trunkline_steps_total", "Steps of the work after calls: done, skipped", ["step", "state"]
)
STEP_FAILURES = Counter(
    "trunkline_step_failures_total",
    "Tries of such steps that failed; final: the last one, an operator has to start it again",
    ["step", "final"],
)
STEP_SECONDS = Histogram(
    "trunkline_step_seconds",
    "Time of one step of the work after a call, in seconds",
    ["step"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
WORKER_RESTARTS = Counter(
    "trunkline_worker_restarts_total", "How often the worker that trunkline run keeps was started again"
)
WEBHOOKS_SENT = Counter(
    "trunkline_webhooks_total",
    "Messages to the customer's systems: delivered, failed (one try), dead",
    ["fate"],
)
AGENTS_NOT_LOADED = Counter(
    "trunkline_agents_not_loaded_total",
    "Stored agents that do not fit this version of the code, or that no recogniser takes (the one before "
    "stays); opening hours that do not fit (always open); and times that none could be read",
)
AGENTS_RELOADED = Counter(
    "trunkline_agents_reloaded_total", "Times that changes of agents, prompts, voices or numbers were read"
)
REST_LIMITED = Counter("trunkline_rest_limited_total", "Requests to the admin API refused as too many")
REST_LIMITS_FAILED = Counter(
    "trunkline_rest_limits_failed_total",
    "Times that Redis did not count the admin API's requests, and this process counted for itself",
)

# Told by app/observability, from the events of calls and from the database.

CALLS_ACTIVE = Gauge("trunkline_calls_active", "Conversations running in this process", ["agent"])
CALLS_ENDED = Counter(
    "trunkline_calls_ended_total",
    "Calls that ended, by agent, hang-up cause and outcome: success, caller, carrier, us, unknown",
    ["agent", "cause", "outcome"],
)
CALL_SECONDS = Histogram(
    "trunkline_call_seconds",
    "Length of calls, in seconds",
    ["agent"],
    buckets=(5, 10, 20, 30, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600),
)
REPLIES = Counter(
    "trunkline_replies_total",
    "Replies and sentences of the agent that are over; interrupted: by the caller, yes or no",
    ["agent", "interrupted"],
)
BARGE_INS = Counter(
    "trunkline_barge_ins_total", "Times that a caller took the floor from the agent", ["agent"]
)
STAGE_SECONDS = Histogram(
    "trunkline_stage_seconds",
    "Time of each stage of a reply, in seconds: stt, endpoint, llm, phrase, tts, send, and response, from "
    "the caller's last speech to the reply's first audio sent; port and engine: what served the stage, empty "
    "where no engine does",
    ["agent", "stage", "port", "engine"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10),
)
OBSERVERS_FAILED = Counter(
    "trunkline_observers_failed_total",
    "Events of calls that an observer failed at: metrics, lines, traces; the calls go on",
    ["observer"],
)
LATENCY_LINES_LOST = Counter(
    "trunkline_latency_lines_lost_total",
    "Lines of latency that were not written: overflow (too many waited), disk (it refused)",
    ["reason"],
)
LOOP_LAG_SECONDS = Histogram(
    "trunkline_event_loop_lag_seconds",
    "How late the event loop came back to a task that had slept, in seconds",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
VAD_BATCH = Histogram(
    "trunkline_vad_batch_windows",
    "Windows of calls in one inference of voice activity",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
RECORDER_BATCH_EVENTS = Histogram(
    "trunkline_recorder_batch_events",
    "Events of calls in one batch for the database",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
RECORDINGS_WAITING = Gauge(
    "trunkline_recordings_waiting_blocks", "Pieces of work of recordings that wait for this process's disk"
)
BROKER_WAITING = Gauge("trunkline_broker_waiting_messages", "Messages that wait in the broker for a worker")
STEPS_FAILED = Gauge(
    "trunkline_steps_failed", "Steps after calls that failed for good and that nobody has started again"
)
WEBHOOKS_WAITING = Gauge(
    "trunkline_webhooks_waiting", "Messages to customers' systems that are not delivered yet"
)
WEBHOOKS_OVERDUE_SECONDS = Gauge(
    "trunkline_webhooks_overdue_seconds", "How long the first of them has been due, in seconds"
)
WEBHOOKS_DEAD = Gauge("trunkline_webhooks_dead", "Messages to customers' systems that were given up")
SYSTEM_EVENTS = Gauge(
    "trunkline_system_events",
    "Events for operators in the last 24 hours, such as latency_regression",
    ["name"],
)
DATABASE_READ = Gauge(
    "trunkline_database_read_timestamp_seconds",
    "When the gauges of outbox, steps, webhooks and system events were last read, in seconds of Unix time",
)

# A counter's first event is an increase only where the counter was seen at 0 before it.
for _counter, _values in {
    CALLS_REFUSED: ("full", "draining"),
    RECORDER_LOST: ("overflow", "refused", "orphaned", "unreadable"),
    RECORDINGS_FAILED: ("stalled", "disk", "overflow", "fault", "length", "missing", "carrier"),
    SPOOL_FAILURES: ("write", "sync", "read", "delete", "encode", "broken"),
    OUTBOX_FAILURES: ("broker", "database"),
    WEBHOOKS_SENT: ("delivered", "failed", "dead"),
    LATENCY_LINES_LOST: ("overflow", "disk"),
    OBSERVERS_FAILED: ("turns", "metrics", "lines", "traces"),
}.items():
    for _value in _values:
        _counter.labels(_value)
