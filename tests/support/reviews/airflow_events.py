"""The events of an asset as a task reads them: Airflow's accessor, and the answer as its client parses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.sdk.api.datamodels._generated import AssetEventsResponse
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import AssetEventsResult, ErrorResponse, GetAssetEventByAsset
from airflow.sdk.execution_time.context import InletEventsAccessor


class StoredEvents(InletEventsAccessor):
    """All events of one asset. Only the API server and the way to it are missing.

    :param stored: the events, as Airflow hands them to a task.
    """

    def __init__(self, stored: Sequence[Any]) -> None:
        super().__init__(asset_name="rescind_leavers", asset_uri="rescind://leavers/")
        self.stored = stored

    @cached_property
    def _asset_events(self) -> list[Any]:
        asked = GetAssetEventByAsset(name=self._asset_name, uri=self._asset_uri, after=self._after, before=self._before)
        asset = {"name": self._asset_name, "uri": self._asset_uri, "group": "asset", "extra": {}}
        rows = [
            {**one.model_dump(mode="json"), "id": number, "created_dagruns": [], "asset": asset}
            for number, one in enumerate(self.stored)
            if (asked.after is None or asked.after <= one.timestamp)
            and (asked.before is None or one.timestamp <= asked.before)
        ]
        try:
            found = AssetEventsResponse.model_validate_json(json.dumps({"asset_events": rows}))
        except ValueError as error:  # the supervisor passes it on like this
            detail = {"message": str(error), "exception_type": type(error).__name__}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail)) from None
        return list(AssetEventsResult.from_asset_events_response(found).iter_asset_event_results())
