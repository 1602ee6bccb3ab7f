// Reads the schema with tools that know nothing of Tombolo: odata2ts makes a client of $metadata, which then asks one
// question; DynamicsWebApi reads definitions. Prints what it got.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DynamicsWebApi } from "dynamics-web-api";

const { SERVER_URL: serverUrl, TOKEN: token } = process.env;
const root = `${serverUrl}api/data/v9.2`;
const headers = { authorization: `Bearer ${token}` };
const modules = fileURLToPath(new URL("node_modules", import.meta.url));
const get = async (url) => {
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
};

const generated = async (folder) => {
  await writeFile(join(folder, "metadata.xml"), await (await get(`${root}/$metadata`)).text());
  await writeFile(join(folder, "package.json"), '{"type":"commonjs"}');
  await writeFile(
    join(folder, "tsconfig.json"),
    '{"compilerOptions":{"target":"ES2022","module":"CommonJS","moduleResolution":"node"}}',
  );
  const generator = join(modules, "@odata2ts/odata2ts/lib/run-cli.js");
  await promisify(execFile)(
    process.execPath,
    // The compiler that it runs goes deep, sometimes deeper than node lets it by itself.
    ["--stack-size=4000", generator, "-s", "metadata.xml", "-o", "out", "-m", "service", "-e", "js", "-name", "Platform"],
    { cwd: folder },
  );
  return createRequire(join(folder, "out", "here.js"))("./PlatformService.js").PlatformService;
};

// Here the generated code finds the library that it imports.
const folder = await mkdtemp(join(modules, ".odata2ts-"));
let rows;
try {
  const PlatformService = await generated(folder);
  const client = {
    get: async (url) => {
      const response = await get(url);
      return { status: response.status, headers: {}, data: await response.json() };
    },
  };
  const service = new PlatformService(client, root);
  const answer = await service.mserp_custcustomerv3entities().query((query, customer) =>
    query
      .select("mserp_customeraccount", "mserp_dataareaid")
      .filter(customer.mserp_dataareaid.eq("USRT"))
      .orderBy(customer.mserp_customeraccount.asc())
      .top(2));
  rows = answer.data.value;
} finally {
  await rm(folder, { recursive: true });
}

const api = new DynamicsWebApi({ serverUrl, dataApi: { version: "9.2" }, onTokenRefresh: async () => token });
const table = await api.retrieveEntity({
  key: "LogicalName='mserp_custcustomerv3entity'",
  select: ["LogicalName", "EntitySetName", "PrimaryIdAttribute"],
});
const choices = await api.retrieveAttributes({
  entityKey: "LogicalName='mserp_custcustomerv3entity'",
  castType: "Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
  select: ["LogicalName"],
  expand: [{ property: "GlobalOptionSet", select: ["Name"] }],
});
const named = new DynamicsWebApi({
  serverUrl,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
  useEntityNames: true,
});
const byName = await named.retrieveMultiple({ collection: "cdm_company", select: ["cdm_companycode"] });
const relationships = await api.retrieveRelationships({
  castType: "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
  select: ["SchemaName"],
  filter: "ReferencingEntity eq 'mserp_custcustomerv3entity'",
});
const optionSet = await api.retrieveGlobalOptionSet({ key: "Name='mserp_NoYes'" });

console.log(JSON.stringify({
  rows,
  table,
  choices: choices.value,
  byName: byName.value,
  relationships: relationships.value,
  optionSet,
}));
