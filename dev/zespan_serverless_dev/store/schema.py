"""The tables of a run."""

from __future__ import annotations

VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Each event id that the run knows of, whether the event has arrived or not: the ledger.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    trace_id TEXT,
    span_id TEXT,
    sandbox TEXT,
    request_id TEXT,
    captured REAL,     -- when the package has taken it, if a tool has told
    delivered INTEGER, -- the delivery that was answered 2xx first; 0 if its destination is elsewhere
    dropped TEXT,      -- the reason
    waiting INTEGER    -- 1: the journal of its dead sandbox has it
);
CREATE INDEX events_trace ON events (trace_id);
CREATE INDEX events_request ON events (request_id);
CREATE INDEX events_sandbox ON events (sandbox);
CREATE INDEX events_open ON events (sandbox, dropped) WHERE delivered IS NULL;

CREATE TABLE spans (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start REAL NOT NULL,
    "end" REAL NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    format TEXT NOT NULL,
    provider TEXT,
    model TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_usd REAL,
    first_token_ms REAL,
    is_root INTEGER NOT NULL,
    raw TEXT NOT NULL -- last, so that nobody who wants the others has to read it
);
CREATE INDEX spans_trace ON spans (trace_id);

-- One row for each trace: what the list of invocations shows, kept up to date by the writer.
CREATE TABLE traces (
    seq INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL UNIQUE,
    sandbox TEXT,
    function TEXT,
    root TEXT,         -- span id of the root that the row is about; NULL until it has arrived
    name TEXT,
    start REAL NOT NULL,
    "end" REAL,
    status TEXT NOT NULL,
    start_kind TEXT,
    user_id TEXT,
    session_id TEXT,
    spans INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    models TEXT NOT NULL -- names between newlines
);
CREATE INDEX traces_start ON traces (start, seq);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    events INTEGER NOT NULL,
    status INTEGER,
    answered REAL,
    fault TEXT
);
CREATE TABLE delivery_events (
    event_id TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    again INTEGER NOT NULL, -- 1: an earlier delivery has it, too
    PRIMARY KEY (event_id, delivery)
) WITHOUT ROWID;
CREATE INDEX delivery_events_delivery ON delivery_events (delivery, again);
CREATE INDEX delivery_events_again ON delivery_events (event_id) WHERE again;

CREATE TABLE sandboxes (
    id TEXT PRIMARY KEY,
    host TEXT,
    function TEXT,
    handler TEXT,
    memory_mb INTEGER,
    timeout_ms REAL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    state TEXT NOT NULL,
    "end" TEXT,
    told INTEGER NOT NULL,  -- 1: by lifecycle records; 0: only by the telemetry
    controls TEXT NOT NULL, -- JSON
    init_start REAL,
    init_end REAL
) WITHOUT ROWID;

CREATE TABLE invocations (
    seq INTEGER PRIMARY KEY,
    sandbox TEXT NOT NULL,
    request_id TEXT NOT NULL,
    trace_id TEXT,
    root TEXT,
    name TEXT,
    cold INTEGER,
    start REAL NOT NULL,
    deadline REAL,
    reserve_ms REAL,
    response REAL,
    "end" REAL,
    outcome TEXT,
    init_start REAL,
    init_end REAL,
    init_ms REAL,
    handler_ms REAL,
    after_ms REAL,
    billed_ms REAL,
    max_memory_mb REAL,
    told INTEGER NOT NULL,
    UNIQUE (sandbox, request_id)
);
CREATE INDEX invocations_request ON invocations (request_id);
CREATE INDEX invocations_trace ON invocations (trace_id);
CREATE INDEX invocations_lane ON invocations (sandbox, start);

CREATE TABLE lifecycle (
    seq INTEGER PRIMARY KEY,
    sandbox TEXT NOT NULL,
    type TEXT NOT NULL,
    at REAL NOT NULL,
    request_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    record TEXT NOT NULL
);
CREATE INDEX lifecycle_request ON lifecycle (request_id, type);
CREATE INDEX lifecycle_trace ON lifecycle (trace_id);
CREATE INDEX lifecycle_sandbox ON lifecycle (sandbox, at);
"""
