"""The evidence bundle: its format, reading, signatures, the offline verifier, and copies without personal data.

Nothing here needs Airflow, a database, or any package beyond ``cryptography``.
"""
