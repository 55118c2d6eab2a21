"""Where shards run. An executor decides only where; the pipeline decides what."""

from tamis.executors.local import LocalExecutor, start_ahead, visible
from tamis.executors.task import Context, Limits, Loss, Outcome, Task
from tamis.executors.worker import uncollected

__all__ = ["Context", "Limits", "LocalExecutor", "Loss", "Outcome", "Task", "start_ahead", "uncollected", "visible"]
