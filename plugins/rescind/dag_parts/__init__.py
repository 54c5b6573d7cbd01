"""The parts that DAG files are made of: task chains, trigger forms, retry policy."""
