"""tryton_party.py DATABASE write|read CODE [NAME]: makes or renames a party, or reads its name, by Tryton's own code.

TRYTOND_DATABASE__URI says where the database is. Prints the party's name, or null.
"""

import json
import sys

from trytond.pool import Pool
from trytond.transaction import Transaction


def main(database, verb, code, name=None):
    Pool.start()
    pool = Pool(database)
    with Transaction().start(database, 0, readonly=True):
        pool.init()
    with Transaction().start(database, 1, context={"active_test": False}) as transaction:
        Party = pool.get("party.party")
        found = Party.search([("code", "=", code)])
        if verb == "write" and found:
            Party.write(found, {"name": name})
        elif verb == "write":
            Party.create([{"name": name, "code": code}])
        transaction.commit()
        found = Party.search([("code", "=", code)])
        print(json.dumps(found[0].name if found else None))


main(*sys.argv[1:])
