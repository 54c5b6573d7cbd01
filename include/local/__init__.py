"""The one-machine stack: PostgreSQL from a wheel, Airflow as real processes, the vendors' emulator.

It starts, watches and stops what a review needs on a single machine, and runs the demonstration against it
through Airflow's REST interface, as a person with a browser would. It shares no code with the package in
``plugins/``: what it knows of the product are the names of a DAG, of its tasks and of its pools.

Modules, from the ground up::

    errors      the errors a person at the command line sees
    config      settings from environment and flags, folders, ports
    state       the state folder: secrets, lock, small files written in one step
    processes   processes of our own: started in groups, recorded with start times, stopped, never by name
    postgres    a PostgreSQL cluster in the state folder
    airflowenv  the environment that Airflow's components run with
    workers     Celery: Redis from a wheel and two workers (RESCIND_EXECUTOR=celery)
    migrations  brings the two databases up to date
    emulated    connections, settings and files when the emulator stands in for the vendors
    api         a small client of Airflow's REST interface
    stack       start and stop of everything, in order
    demo        one access review from trigger to evidence, and what judges it
"""

from __future__ import annotations
