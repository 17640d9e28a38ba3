"""What operators see of calls while they run: metrics, lines of latency, traces."""
