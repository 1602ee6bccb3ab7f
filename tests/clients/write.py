"""Writes with Microsoft's Dataverse SDK for Python, which knows nothing of Tombolo. Prints what it got."""

import json
import os
import time

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem


class Credential:
    def get_token(self, *scopes, **options):
        return AccessToken(os.environ["TOKEN"], int(time.time()) + 3600)

    def close(self):
        pass


def refusal(call, *arguments):
    try:
        call(*arguments)
    except HttpError as error:
        return {"status": error.status_code, "code": error.details.get("service_error_code"), "message": str(error)}
    return None


CUSTOMER = "mserp_custcustomerv3entity"


def body(number):
    return {
        "mserp_dataareaid": "USMF",
        "mserp_customeraccount": number,
        "mserp_organizationname": "Written by the SDK",
        "mserp_customergroupid": "10",
    }


def key(number):
    return {"mserp_dataareaid": "USMF", "mserp_customeraccount": number}


def told(result):
    return [
        {"status": it.status_code, "id": it.entity_id, "data": it.data, "error": it.error_message}
        for it in result.responses
    ]


got = {}
with DataverseClient(os.environ["SERVER_URL"], Credential()) as client:
    records = client.records
    for table, new in [(CUSTOMER, body("SDK-1")), ("account", {"name": "SDK", "accountnumber": "SDK-1"})]:
        column = "mserp_notes" if table == CUSTOMER else "description"
        one = records.create(table, new)
        records.update(table, one, {column: "updated"})
        read = records.retrieve(table, one, select=[column])
        got[table] = {"id": one, "updated": read[column]}
        records.delete(table, one)
        got[table]["gone"] = records.retrieve(table, one) is None
    # By label, as the SDK resolves it.
    held = records.create(CUSTOMER, {**body("SDK-2"), "mserp_onholdstatus": "All"})
    got["held"] = records.retrieve(CUSTOMER, held, select=["mserp_onholdstatus"])["mserp_onholdstatus"]
    got["refused"] = refusal(records.create, CUSTOMER, {**body("SDK-3"), "mserp_customergroupid": "NONE"})
    got["unknown"] = refusal(records.create, CUSTOMER, {**body("SDK-3"), "mserp_nosuch": 1})
    got["missing"] = refusal(records.update, CUSTOMER, "00000000-0000-0000-0000-000000000001", {"mserp_notes": "x"})

    # Upsert, one and many.
    for item in ["made", "changed"]:
        records.upsert(CUSTOMER, [UpsertItem(key("SDK-4"), {
            "mserp_organizationname": item, "mserp_customergroupid": "10"})])
    records.upsert(CUSTOMER, [UpsertItem(key(f"SDK-{number}"), {
        "mserp_organizationname": "many", "mserp_customergroupid": "10"}) for number in (4, 5, 6)])
    records.upsert("account", [UpsertItem({"accountnumber": f"SDK-U{number}"}, {"name": "many"}) for number in (1, 2)])

    # Many at once, all or nothing.
    for table, rows, column in [
        (CUSTOMER, [body(f"SDK-1{number}") for number in range(3)], "mserp_notes"),
        ("account", [{"name": "SDK many"} for _ in range(3)], "description"),
    ]:
        ids = records.create(table, rows)
        records.update(table, ids, {column: "same"})
        records.update(table, ids, [{column: f"own {number}"} for number, _ in enumerate(ids)])
        read = [records.retrieve(table, it, select=[column])[column] for it in ids]
        records.delete(table, ids, use_bulk_delete=False)
        got[f"{table} many"] = {"ids": ids, "read": read,
                                "gone": [records.retrieve(table, it) is None for it in ids]}
    got["many refused"] = refusal(records.create, CUSTOMER, [
        body("SDK-20"), {**body("SDK-21"), "mserp_customergroupid": "NONE"}])

    # Batches.
    batch = client.batch.new()
    batch.records.create("account", {"name": "SDK batch"})
    with batch.changeset() as changes:
        customer = changes.records.create(CUSTOMER, body("SDK-30"))
        account = changes.records.create("account", {"name": "SDK batch", "accountnumber": "SDK-30"})
        changes.records.create("contact", {"lastname": "SDK batch", "parentcustomerid_account@odata.bind": account})
        changes.records.update(CUSTOMER, customer, {"mserp_notes": "in the batch"})
        changes.records.update("account", account, {"description": "in the batch"})
    batch.records.create("account", [{"name": "SDK batch"}, {"name": "SDK batch"}])
    batch.records.retrieve("account", "00000000-0000-0000-0000-000000000001")
    got["batch"] = told(batch.execute(continue_on_error=True))
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "SDK failed"})
        changes.records.create(CUSTOMER, {**body("SDK-31"), "mserp_customergroupid": "NONE"})
    batch.records.create("account", {"name": "SDK failed"})
    got["failed"] = told(batch.execute())

print(json.dumps(got))
