"""Evidence: one self-contained bundle for each run, its offline verifier, its report and its tables.

Only :mod:`rescind.evidence.collect` and :mod:`rescind.evidence.write` read the ledger, and
:mod:`rescind.evidence.imports` writes to one. Everything else works on a bundle alone and needs neither Airflow nor a
database, so that an auditor can check it anywhere:
``rescind evidence verify PATH``.
"""
