"""The yardstick's tasks, acknowledged when they are done: nothing, and a reducer.

`celery -A tests.bench.celery_tasks worker`
"""

import os
from typing import Any

from celery import Celery

app: Any = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="noop")  # type: ignore[untyped-decorator]
def noop(number: int) -> dict[str, int]:
    """Give back what came."""
    return {"number": number}


@app.task(name="gather")  # type: ignore[untyped-decorator]
def gather(results: list[dict[str, int]]) -> dict[str, int]:
    """Count what came of all."""
    return {"count": len(results)}
