"""Reads $metadata with python-odata, which knows nothing of Tombolo, and asks with what it made of it. Prints what it got."""

import json
import os

import requests
from odata import ODataService

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
url = os.environ["SERVER_URL"].rstrip("/") + "/api/data/v9.2/"
service = ODataService(url, session=session, reflect_entities=True, quiet_progress=True)

customer = service.entities["mserp_custcustomerv3entities"]
query = service.query(customer)
query = query.filter(customer.mserp_dataareaid == "USRT").order_by(customer.mserp_customeraccount.asc()).limit(2)
rows = [[row.mserp_customeraccount, row.mserp_dataareaid] for row in query]

print(json.dumps({
    "sets": sorted(service.entities),
    "functions": sorted(service.functions),
    "navigation": hasattr(customer, "mserp_FK_CustomerGroup_id"),
    "collection": hasattr(customer, "mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer"),
    "rows": rows,
}))
