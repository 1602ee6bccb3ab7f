// Writes as an application would with DynamicsWebApi, which knows nothing of Tombolo. Prints what it got.
import { DynamicsWebApi } from "dynamics-web-api";

const { SERVER_URL: serverUrl, TOKEN: token } = process.env;
const api = new DynamicsWebApi({
  serverUrl,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
});

const collection = "mserp_custcustomerv3entities";
const company = "mserp_dataareaid";
const account = "mserp_customeraccount";
const name = "mserp_organizationname";
const group = "mserp_customergroupid";
const notes = "mserp_notes";
const body = (number) => ({ [company]: "USMF", [account]: number, [name]: "Written by DWA", [group]: "10" });
const keyOf = (number) => `${company}='USMF',${account}='${number}'`;

const refusal = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    const it = Array.isArray(error) ? error[0] : error;
    // Errors of a batch keep what the server said to themselves.
    return { status: it.status, code: it.code ?? it.error?.code, message: it.message || it.error?.message };
  }
};

const id = await api.create({ collection, data: body("DWA-1") });
const represented = await api.create({
  collection,
  data: body("DWA-2"),
  select: [account, name],
  returnRepresentation: true,
});
const read = await api.retrieve({ collection, key: id, select: [account, name, notes] });
await api.update({ collection, key: id, data: { [notes]: "updated" } });
const updated = await api.update({
  collection,
  key: id,
  data: { [name]: "Renamed" },
  select: [name, notes],
  returnRepresentation: true,
});
const stale = await refusal(
  api.update({ collection, key: id, data: { [notes]: "stale" }, ifmatch: read["@odata.etag"] }),
);
await api.updateSingleProperty({ collection, key: id, fieldValuePair: { [notes]: "single" } });
const single = await api.retrieve({ collection, key: id, select: [notes] });
const upserted = await api.upsert({
  collection,
  key: keyOf("DWA-3"),
  data: { [name]: "Upserted", [group]: "10" },
  returnRepresentation: true,
});
const upsertedAgain = await api.upsert({
  collection,
  key: keyOf("DWA-3"),
  data: { [notes]: "again" },
  returnRepresentation: true,
});
const prevented = await refusal(
  api.upsert({ collection, key: keyOf("DWA-3"), data: { [notes]: "x" }, ifnonematch: "*" }),
);
const deleted = await api.deleteRecord({ collection, key: keyOf("DWA-2") });
const gone = await refusal(api.retrieve({ collection, key: keyOf("DWA-2") }));

// Native rows, references, single properties.
const accountId = await api.create({ collection: "accounts", data: { name: "DWA", telephone1: "1" } });
const contactId = await api.create({
  collection: "contacts",
  data: { lastname: "DWA", "parentcustomerid_account@odata.bind": `/accounts(${accountId})` },
});
await api.associate({
  collection: "accounts",
  primaryKey: accountId,
  relationshipName: "contact_customer_accounts",
  relatedCollection: "contacts",
  relatedKey: contactId,
});
await api.associateSingleValued({
  collection: "accounts",
  primaryKey: accountId,
  navigationProperty: "primarycontactid",
  relatedCollection: "contacts",
  relatedKey: contactId,
});
const related = await api.retrieve({ collection: "accounts", key: accountId, select: ["name", "_primarycontactid_value"] });
await api.disassociateSingleValued({
  collection: "accounts",
  primaryKey: accountId,
  navigationProperty: "primarycontactid",
});
await api.disassociate({
  collection: "accounts",
  primaryKey: accountId,
  relationshipName: "contact_customer_accounts",
  relatedKey: contactId,
});
await api.deleteRecord({ collection: "accounts", key: accountId, property: "telephone1" });
const unrelated = await api.retrieve({
  collection: "accounts",
  key: accountId,
  select: ["telephone1", "_primarycontactid_value"],
});

// A change set over both stores, with references; and one that fails.
api.startBatch();
api.create({ collection, data: { ...body("DWA-4") }, contentId: "1" });
api.create({ collection: "accounts", data: { name: "DWA batch", accountnumber: "DWA-4" }, contentId: "2" });
api.create({
  collection: "contacts",
  data: { lastname: "DWA batch", "parentcustomerid_account@odata.bind": "$2" },
});
const batch = await api.executeBatch();
api.startBatch();
api.create({ collection, data: body("DWA-5") });
api.create({ collection, data: { ...body("DWA-6"), [group]: "NONE" } });
const failed = await refusal(api.executeBatch());
api.startBatch();
api.create({ collection: "accounts", data: { nosuch: 1 }, inChangeSet: false });
api.retrieveMultiple({ collection: "accounts", select: ["name"], filter: "name eq 'DWA batch'" });
const continued = await api.executeBatch({ continueOnError: true }).catch((errors) => errors);

const action = (ending) => process.env.ACTIONS.split(",").find((it) => it.endsWith(ending));
await api.callAction({
  collection,
  key: id,
  actionName: `Microsoft.Dynamics.CRM.${action("HoldCustomer")}`,
  action: { Reason: "said so" },
});
const held = await api.retrieve({ collection, key: id, select: ["mserp_onholdstatus", notes] });
const heldAgain = await refusal(
  api.callAction({
    collection,
    key: id,
    actionName: `Microsoft.Dynamics.CRM.${action("HoldCustomer")}`,
    action: { Reason: "again" },
  }),
);
const released = await api.callAction({
  collection,
  key: id,
  actionName: `Microsoft.Dynamics.CRM.${action("ReleaseCustomer")}`,
});
const moment = await api.callAction({ actionName: action("CurrentMoment") });

console.log(JSON.stringify({
  id, represented, read, updated, stale, single, upserted, upsertedAgain, prevented, deleted, gone,
  contactId, related, unrelated, batch, failed, continued, held, heldAgain, released, moment,
  badGroup: await refusal(api.create({ collection, data: { ...body("DWA-7"), [group]: "NONE" } })),
}));
