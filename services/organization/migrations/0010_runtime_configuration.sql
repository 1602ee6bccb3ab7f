-- What is configured of dual-write's maps in this database: one row for each, as the log of changes has it.

-- The fields of a protocol buffers message, in its order: a number, or as many bytes as the number says.
CREATE FUNCTION message_fields(message bytea, OUT field integer, OUT number bigint, OUT content bytea)
RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    place integer := 0;
    part bigint[] := ARRAY[0, 0];
    shift integer;
    byte integer;
    kind integer;
BEGIN
    WHILE place < length(message) LOOP
        -- A tag, and the number that follows it or says how long its bytes are.
        FOR i IN 1 .. 2 LOOP
            part[i] := 0;
            shift := 0;
            LOOP
                byte := get_byte(message, place);
                place := place + 1;
                part[i] := part[i] | ((byte & 127)::bigint << shift);
                shift := shift + 7;
                EXIT WHEN byte < 128;
            END LOOP;
        END LOOP;
        field := part[1] >> 3;
        kind := part[1] & 7;
        number := part[2];
        content := NULL;
        IF kind = 2 THEN
            content := substring(message FROM place + 1 FOR part[2]::integer);
            place := place + part[2]::integer;
        ELSIF kind <> 0 THEN
            RAISE EXCEPTION 'a field of kind % is not known', kind;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- There is no such table as long as nothing captures changes.
CREATE FUNCTION dual_write_maps(OUT map text, OUT epoch bigint, OUT phase integer, OUT link text,
                                OUT definition bytea)
RETURNS SETOF record STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('tombolo.dual_write_map') IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT map, epoch, phase::integer, link, definition FROM tombolo.dual_write_map';
    END IF;
END
$$;

-- Whatever was in it, nothing has read it.
DROP TABLE msdyn_dualwriteruntimeconfig;
CREATE VIEW msdyn_dualwriteruntimeconfig AS
SELECT md5(map)::uuid AS msdyn_dualwriteruntimeconfigid,
       map AS msdyn_name,
       -- Fields of `MapSide`.
       coalesce((SELECT convert_from(content, 'UTF8') FROM organization.message_fields(definition)
                 WHERE field = 4), '') AS msdyn_entityname,
       (SELECT string_agg(convert_from(content, 'UTF8'), ', ')
        FROM organization.message_fields(definition) WHERE field = 5) AS msdyn_columns,
       (SELECT convert_from(content, 'UTF8') FROM organization.message_fields(definition)
        WHERE field = 7) AS msdyn_companycolumn,
       phase AS msdyn_status,
       epoch AS msdyn_revision,
       link AS msdyn_link
FROM organization.dual_write_maps();
