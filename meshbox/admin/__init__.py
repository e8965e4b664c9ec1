"""What operators see and do: status, metrics, control and the dashboard."""
