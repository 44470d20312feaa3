"""What any program needs: flags, signals, progress, locks, whole files."""
