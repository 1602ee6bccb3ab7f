"""policies.py URL ENTITIES: adds Tryton's own record rules to the entity files of a model that was just imported.

Global rules that let a user see the rows of the user's companies become row policies, of their models and
of those that belong to them, as lines to their document. Other rules are none of the model's modules.
"""

import pathlib
import sys

import psycopg

COMPANY_RULE = '[["company", "in", {"__class__": "Eval", "d": [], "v": "companies"}]]'
QUERY = """
WITH ruled AS (
    SELECT replace(rule_group.model, '.', '_') AS "table", rule_group.model
    FROM ir_rule_group AS rule_group JOIN ir_rule AS rule ON rule.rule_group = rule_group.id
    WHERE rule_group.global_p AND rule_group.perm_read AND rule.domain = %s
)
SELECT "table", NULL, NULL FROM ruled
UNION
SELECT replace(field.model, '.', '_'), field.name, ruled."table"
FROM ir_model_field AS field JOIN ruled ON ruled.model = field.relation
WHERE field.access AND field.ttype = 'many2one' AND field.model NOT IN (SELECT model FROM ruled)
"""
OF_USER = "(:companies IS NULL OR {company}::text = ANY (:companies))"
POLICY = """
[[policies]]
name = "Companies{number}"
predicate = '{predicate}'
"""


def main(url, entities):
    with psycopg.connect(url) as connection:
        rules = connection.execute(QUERY, (COMPANY_RULE,)).fetchall()
    files = {}
    for file in pathlib.Path(entities).glob("*.toml"):
        source = file.read_text().split("[[sources]]", 1)[1].splitlines()
        alias, table = (next(it for it in source if it.startswith(key)) for key in ("alias", "table"))
        name = table.split("=", 1)[1].strip(" '\"").removeprefix("public.").strip('"')
        files[name] = (file, alias.split('"')[1])
    numbers = {}
    for table, column, owner in sorted(rules, key=str):
        if table not in files or owner and owner not in files:
            continue
        file, alias = files[table]
        predicate = OF_USER.format(company=f"{alias}.company")
        if column:
            of_owner = OF_USER.format(company="owner.company")
            predicate = (f'EXISTS (SELECT FROM public."{owner}" AS owner '
                         f'WHERE owner.id = {alias}."{column}" AND {of_owner})')
        number = numbers[table] = numbers.get(table, 0) + 1
        with file.open("a") as out:
            out.write(POLICY.format(number="" if number == 1 else number, predicate=predicate))


main(*sys.argv[1:])
