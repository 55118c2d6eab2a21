"""The pipeline: plan → observe → judge → statistics → apply → close the books. It knows the contract of checks, and no check's name.

| stage | modules |
|---|---|
| all, in order | `run`; `request` and `interrupt`, `memory` and `folder`: what is asked for, what it may take, where it goes |
| plan | `prepare` makes a `plan`, by what `choose` takes for `auto`, and finds `earlier` runs |
| observe | `observe`: batches of files, or of `rows`, become `evidence` and `findings` |
| judge | `judge` keeps the books; evidence comes by `spill` and `repeats`, rows again by `shingles` and `amend`; `verdicts` |
| statistics | `statistics` |
| apply | `apply`; members of containers by `pack`, readings in other `forms`, of which the `wide` one takes a second step |
| books | `ledger`, `manifest` |

`files` writes what all of them leave.
"""
