"""Configuration and composition: the only place that names concrete parts."""
