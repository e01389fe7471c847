import assert from "node:assert/strict";
import { onNetworkBack, type Scope } from "../../lib/client/network_back.ts";

/** A browser's page, as far as it matters. */
class Page extends EventTarget {
  navigator = { onLine: true };
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });
}

Deno.test("onNetworkBack() tells when the network is back and when the page is seen again, until it is ended", () => {
  const page = new Page();
  const told: string[] = [];
  const events = { onOnline: () => told.push("online"), onVisible: () => told.push("visible") };
  const end = onNetworkBack(events, page as Scope);
  page.dispatchEvent(new Event("offline"));
  assert.deepEqual(told, []);
  page.dispatchEvent(new Event("online"));
  assert.deepEqual(told, ["online"]);
  page.document.visibilityState = "hidden";
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["online"], "a page that is hidden was taken for one that is seen");
  page.document.visibilityState = "visible";
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["online", "visible"]);
  end();
  page.dispatchEvent(new Event("online"));
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(told, ["online", "visible"], "it was not ended");
});

Deno.test("onNetworkBack() works in a worker, which has no document, and does nothing where there is no browser", () => {
  const worker = Object.assign(new EventTarget(), { navigator: { onLine: false } });
  let calls = 0;
  const events = { onOnline: () => calls++, onVisible: () => calls++ };
  const end = onNetworkBack(events, worker as Scope);
  worker.dispatchEvent(new Event("online"));
  end();
  worker.dispatchEvent(new Event("online"));
  assert.equal(calls, 1);
  const elsewhere = Object.assign(new EventTarget(), { navigator: {} });
  onNetworkBack(events, elsewhere as Scope)();
  onNetworkBack(events, elsewhere as Scope);
  elsewhere.dispatchEvent(new Event("online"));
  assert.equal(calls, 1);
});
