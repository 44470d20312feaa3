"""What every program needs: flags, signals, progress, locks, atomic writes."""
