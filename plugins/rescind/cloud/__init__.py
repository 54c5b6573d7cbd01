"""Speaks to the vendors: transport, signing, credentials, typed messages, complete listings.

Knows no reviews and no Airflow. The parts that others use:

* :mod:`rescind.cloud.connection.settings`, :mod:`rescind.cloud.clients`: a connection's settings and its client;
* ``*_messages`` and ``*_inventory``: one model per vendor action;
* :mod:`rescind.cloud.paging`: listings that are complete or raise;
* :mod:`rescind.cloud.base`: what messages, pacers and clients share (buckets, prepared requests, answers);
* :mod:`rescind.cloud.answers.outcomes`: what a batch write's answer says about each part.
"""
