"""The name of this process among all that may write into one folder."""

from __future__ import annotations

from uuid import uuid4

PROCESS = uuid4().hex[:16]
"""What names of files in the making carry: processes of two machines that share a folder may have the same number."""
