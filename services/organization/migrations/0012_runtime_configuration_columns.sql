-- The runtime configuration with the columns that it is known for, as the log of changes shows it.

DROP VIEW msdyn_dualwriteruntimeconfig;
DROP FUNCTION dual_write_maps();
DROP FUNCTION message_fields(bytea);

-- There is no such view as long as nothing captures changes.
CREATE FUNCTION dual_write_projects(
    OUT projectname text, OUT externalentityname text, OUT internalentityname text,
    OUT externalenvironmenturl text, OUT status integer, OUT enablebatchlookup integer,
    OUT partitionmap text, OUT queryfilterexpression text, OUT integrationkey text,
    OUT isdelete integer, OUT isdebugmode integer, OUT recversion bigint, OUT partition bigint,
    OUT recid bigint)
RETURNS SETOF record STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('tombolo.dualwriteprojectconfiguration') IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT projectname, externalentityname, internalentityname, externalenvironmenturl, status,
                    enablebatchlookup, partitionmap, queryfilterexpression, integrationkey, isdelete,
                    isdebugmode, recversion, partition, recid
             FROM tombolo.dualwriteprojectconfiguration';
    END IF;
END
$$;

CREATE VIEW msdyn_dualwriteruntimeconfig AS
SELECT md5(projectname)::uuid AS msdyn_dualwriteruntimeconfigid,
       projectname AS msdyn_name,
       projectname AS msdyn_projectname,
       externalentityname AS msdyn_externalentityname,
       internalentityname AS msdyn_internalentityname,
       externalenvironmenturl AS msdyn_externalenvironmenturl,
       status AS msdyn_status,
       enablebatchlookup AS msdyn_enablebatchlookup,
       partitionmap AS msdyn_partitionmap,
       queryfilterexpression AS msdyn_queryfilterexpression,
       integrationkey AS msdyn_integrationkey,
       isdelete AS msdyn_isdelete,
       isdebugmode AS msdyn_isdebugmode,
       recversion AS msdyn_recversion,
       partition AS msdyn_partition,
       recid AS msdyn_recid
FROM organization.dual_write_projects();
