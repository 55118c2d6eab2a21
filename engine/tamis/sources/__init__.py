"""Where records come from: list the files, stage and profile the tables, decide their schemas, read typed rows."""
