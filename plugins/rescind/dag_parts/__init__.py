"""Parts of DAG files: task chains, trigger forms, retry policy."""
