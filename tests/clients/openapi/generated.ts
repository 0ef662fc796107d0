// Calls the program through types that openapi-typescript makes of /openapi.json; the compiler checks them.

import createClient from "openapi-fetch";
import type { components, paths } from "./pegcount";

declare const process: { env: Record<string, string | undefined> };

const base = process.env.BASE!;
const key = process.env.PEGCOUNT_KEY!;

function check(what: string, holds: boolean, shown: unknown): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(shown)}`);
}

const native = createClient<paths>({ baseUrl: base, headers: { "x-api-key": key } });
const pair = createClient<paths>({
  baseUrl: base,
  headers: { "X-API-KEY": key.slice(0, 20), "X-API-SECRET": key.slice(21) },
});

const listed = await native.GET("/v1/calls", { params: { query: { status: ["completed"], limit: 10 } } });
const row: components["schemas"]["CallRow"] | undefined = listed.data?.calls.find((call) => call.id === "call_abc123");
check("a list", row?.status === "completed" && row.duration === 180, listed);

const missing = await native.GET("/v1/calls/{id}", { params: { path: { id: "call_nobody" } } });
check("a refusal", missing.response.status === 404 && missing.error?.code === "CALL_NOT_FOUND", missing.error);

const got = await pair.GET("/api/calls/{callId}", { params: { path: { callId: "call_abc123" } } });
const data = got.data!.data;
check("a call", data.call_status === "ENDED" && data.call_cost.product_costs.length === 0, got);

const live = await native.POST("/apis/get_live_calls.php", {
  body: { tenant_id: "1" },
  headers: { "content-type": "application/x-www-form-urlencoded" },
  bodySerializer: (body) => new URLSearchParams(body as Record<string, string>),
});
check("a count", live.data?.tenant_id === "1" && live.data.live_calls >= 0, live);
console.log("the generated TypeScript client works");
