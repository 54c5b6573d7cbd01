"""The stages of a run, without Airflow: inputs, planners, approval text, residual access, execution."""
