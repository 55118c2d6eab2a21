"""Where shards run. An executor decides only where; the pipeline decides what."""

from tamis.executors.local import LocalExecutor, cores, start_ahead, visible
from tamis.executors.task import Context, Executor, Limits, Loss, Outcome, Plain, Task
from tamis.executors.worker import uncollected

__all__ = [
    "Context",
    "Executor",
    "Limits",
    "LocalExecutor",
    "Loss",
    "Outcome",
    "Plain",
    "Task",
    "cores",
    "start_ahead",
    "uncollected",
    "visible",
]
