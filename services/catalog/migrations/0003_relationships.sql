-- Relationships that administrators declare between virtual and native tables. Never updated.
CREATE TABLE declared_relationship (
    relationship_id text PRIMARY KEY,
    schema_name text NOT NULL,
    -- Logical names, of tables that need not be visible.
    source_table text NOT NULL,
    target_table text NOT NULL,
    source_columns text[] NOT NULL CHECK (cardinality(source_columns) > 0),
    target_columns text[] NOT NULL
        CHECK (cardinality(target_columns) = cardinality(source_columns)),
    display_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Ids become names, which the platform tells apart without regard to case.
CREATE UNIQUE INDEX declared_relationship_id ON declared_relationship (lower(relationship_id));
