"""The pipeline: plan → observe → judge → statistics → apply → close the books. It knows the contract of checks, and no check's name."""
