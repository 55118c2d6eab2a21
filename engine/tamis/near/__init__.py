"""Near-duplicates: from texts to clusters, for the checks and for frames alike.

`texts` (what is compared) → `signatures` → `banding` (how signatures are cut into bands) → `clustering` (records that share a band, each
pair verified, one keeper a cluster), with the exact sets of `shingles` to verify by. `deduplicate` runs all of it on a frame.
"""
