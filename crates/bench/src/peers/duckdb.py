"""Asks DuckDB the same questions of the same calls, and says what came out and how long it took, as JSON lines.

duckdb.py CSV DATABASE THREADS ORGANIZATION FROM TO ODD_FROM ODD_TO OFFSET PAGE
"""

import json
import os
import sys
import time

import duckdb

csv, database, threads = sys.argv[1:4]
organization, begin, end, odd_begin, odd_end, offset, page = map(int, sys.argv[4:])
RUNS = 15


def say(**what):
    print(json.dumps(what), flush=True)


def timed(name, sql):
    """The answer, after the times of several runs have been said; the first run is not counted."""
    answer = connection.execute(sql).fetchall()
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        connection.execute(sql).fetchall()
        times.append((time.perf_counter() - begun) * 1e6)
    say(name=name, times=times)
    return answer


is_new = not os.path.exists(database)
making = database + ".making"
if is_new:
    # In a table of its own format, which it reads fastest; under its name only when it is whole.
    if os.path.exists(making):
        os.remove(making)
    begun = time.perf_counter()
    with duckdb.connect(making) as made:
        # It would be drawn where the answers go.
        made.execute("SET enable_progress_bar = false")
        made.execute(f"CREATE TABLE calls AS SELECT * FROM read_csv('{csv}', header = true)")
    os.rename(making, database)
connection = duckdb.connect(database, read_only=True)
connection.execute(f"SET threads = {threads}; SET enable_progress_bar = false")

for name, low, high in (("year statistics", begin, end), ("odd range statistics", odd_begin, odd_end)):
    rows = timed(
        name,
        f"""SELECT status, direction, count(*), sum(answered), sum(talk_seconds), sum(cost_nanos) FROM calls
            WHERE org = {organization} AND start_ms BETWEEN {low} AND {high} GROUP BY status, direction""",
    )
    say(cells=name, rows=[[int(value) for value in row] for row in rows])
timed(
    "page at a deep offset",
    f"SELECT * FROM calls WHERE org = {organization} ORDER BY start_ms DESC, arrival DESC LIMIT {page} OFFSET {offset}",
)
timed(
    "first page",
    f"SELECT * FROM calls WHERE org = {organization} ORDER BY start_ms DESC, arrival DESC LIMIT {page}",
)
timed("exact total", f"SELECT count(*) FROM calls WHERE org = {organization}")
timed("exact total of one status", f"SELECT count(*) FROM calls WHERE org = {organization} AND status = 8")
timed(
    "first page by metadata",
    f"SELECT * FROM calls WHERE org = {organization} AND campaign = 'c-17' ORDER BY start_ms DESC LIMIT {page}",
)
say(version=duckdb.__version__)
