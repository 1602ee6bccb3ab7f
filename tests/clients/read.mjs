// Reads as an application would with DynamicsWebApi, which knows nothing of Tombolo. Prints what it got.
import { DynamicsWebApi } from "dynamics-web-api";

const { SERVER_URL: serverUrl, TOKEN: token } = process.env;
const api = new DynamicsWebApi({
  serverUrl,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
});

const collection = "mserp_custcustomerv3entities";
const id = "mserp_custcustomerv3entityid";
const account = "mserp_customeraccount";
const name = "mserp_organizationname";
const company = "mserp_dataareaid";
const limit = "mserp_creditlimit";

const refusal = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.status, code: error.code, message: error.message };
  }
};

const page = await api.retrieveMultiple({ collection, select: [account, name], top: 3 });
const filtered = await api.retrieveMultiple({
  collection,
  select: [account, company],
  filter: `${company} eq 'usmf' and ${limit} gt 700000 and not contains(${name},'O''Brian')`,
});
const sorted = await api.retrieveMultiple({
  collection,
  select: [name, company],
  orderBy: [`${name} desc`, company],
  top: 50,
});
const counted = await api.retrieveMultiple({ collection, select: [account], count: true, maxPageSize: 10 });

const pages = [];
let next;
do {
  const one = await api.retrieveMultiple({ collection, select: [account], maxPageSize: 700 }, next);
  pages.push(one.value.map((row) => row[id]));
  next = one.oDataNextLink;
} while (next);

const all = await api.retrieveAll({ collection, select: [account], maxPageSize: 1000 });
const annotated = await api.retrieveMultiple({
  collection,
  select: ["mserp_onholdstatus", "mserp_creditreviewdate", limit, "_mserp_dataareaid_id_value"],
  filter: "mserp_onholdstatus eq 200000002 and mserp_creditreviewdate ne null",
  includeAnnotations: "*",
  top: 1,
});

const first = page.value[0];
const byId = await api.retrieve({ collection, key: first[id], select: [account] });
const byUpperCaseId = await api.retrieve({ collection, key: first[id].toUpperCase(), select: [account] });
const byKey = await api.retrieve({
  collection,
  key: `${account}='US-000001',${company}='USRT'`,
  select: [account, company],
});

console.log(JSON.stringify({
  page: page.value,
  filtered: filtered.value,
  sorted: sorted.value,
  count: counted.oDataCount,
  countOnly: await api.count({ collection, filter: `${company} eq 'DEMF'` }),
  countAll: await api.countAll({ collection, select: [account] }),
  pages,
  all: all.value.map((row) => row[id]),
  annotated: annotated.value,
  byId,
  byUpperCaseId,
  byKey,
  unknownTable: await refusal(api.retrieveMultiple({ collection: "mserp_nosuchentities" })),
  unknownColumn: await refusal(api.retrieveMultiple({ collection, select: ["mserp_nosuchcolumn"] })),
  unknownRow: await refusal(api.retrieve({ collection, key: "00000000-0000-0000-0000-000000000001" })),
}));
