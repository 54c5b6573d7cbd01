-- The plan reads the retained grants that its calls could meet: those in the columns of the grants that go. Hashes, as in
-- grant_row_cell: eight bytes find the candidates, the query compares the fields.
CREATE INDEX grant_row_column ON rescind.grant_row (
    run_no, hash_array_extended(cell_column, hashtextextended(cell_kind, hashtextextended(cell_container, 0)))
);
