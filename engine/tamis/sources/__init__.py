"""Where records come from: list the files, stage and profile the tables, decide their schemas, read typed rows.

| what | modules |
|---|---|
| which files there are | `listing` |
| containers | `containers`, by `tars`, `zips` (`cutzips` mends those that are cut) and `mediatables`; `members` names what is in them |
| bytes of one record | `payload` |
| text tables become Parquet | `staging`: `text`, then `scanner`, `layout` and `delimited`, or `jsonarrays` and `ndjson`, give `rows` |
| Parquet and Arrow by rows | `tables`, `ipc`, `columns` |
| what columns hold | `profile` counts by `parsing`, `stamps` and `units`; `schema` decides, within `options` |
| typed rows | `standardise` |
"""
