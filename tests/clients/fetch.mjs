// Fetches as an application would with DynamicsWebApi, which knows nothing of Tombolo. Prints what it got.
import { DynamicsWebApi } from "dynamics-web-api";

const { SERVER_URL: serverUrl, TOKEN: token } = process.env;
const api = new DynamicsWebApi({
  serverUrl,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
});

const collection = "mserp_custcustomerv3entities";
const fetch = (attributes) => `<fetch ${attributes}><entity name="mserp_custcustomerv3entity">
  <attribute name="mserp_custcustomerv3entityid"/><attribute name="mserp_organizationname"/>
  <order attribute="mserp_organizationname"/></entity></fetch>`;

const one = await api.fetch({ collection, fetchXml: fetch('count="10"'), includeAnnotations: "*" });
const two = await api.fetch({
  collection,
  fetchXml: fetch('count="10"'),
  includeAnnotations: "*",
  pageNumber: one.PagingInfo.nextPage,
  pagingCookie: one.PagingInfo.cookie,
});
const all = await api.fetchAll({ collection, fetchXml: fetch('count="400"'), includeAnnotations: "*" });
const groups = await api.fetch({
  collection,
  fetchXml: `<fetch aggregate="true"><entity name="mserp_custcustomerv3entity">
    <attribute name="mserp_dataareaid" alias="company" groupby="true"/>
    <attribute name="mserp_notes" alias="n" aggregate="count"/></entity></fetch>`,
});

console.log(
  JSON.stringify({
    one: one.value,
    nextPage: one.PagingInfo.nextPage,
    two: two.value,
    all: all.value,
    groups: groups.value,
  }),
);
