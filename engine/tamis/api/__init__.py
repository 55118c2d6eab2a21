"""What `import tamis` gives beside the parts themselves: whole runs, and single functions on frames, files and pictures."""
