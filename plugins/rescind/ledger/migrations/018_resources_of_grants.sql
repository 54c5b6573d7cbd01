-- What remains of an access lies on the resources of the grants that go, and on those above them: plan and verification read
-- these. Hashes, as in grant_row_cell: eight bytes find the candidates, the query compares the fields.
CREATE INDEX grant_row_resource ON rescind.grant_row (
    run_no, hashtextextended(resource_id, hashtextextended(resource_type, 0))
);
