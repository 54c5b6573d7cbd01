"""Example DAGs for the operators and sensors of single vendor calls. Copy one and adapt it."""
