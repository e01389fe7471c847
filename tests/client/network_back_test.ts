import assert from "node:assert/strict";
import { onNetworkBack, type Scope } from "../../lib/client/network_back.ts";

/** A browser's page, as far as it matters. */
class Page extends EventTarget {
  navigator = { onLine: true };
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });
}

Deno.test("onNetworkBack() calls when the network is back or the page is seen again, until it is ended", () => {
  const page = new Page();
  let calls = 0;
  const end = onNetworkBack(() => calls++, page as Scope);
  page.dispatchEvent(new Event("offline"));
  assert.equal(calls, 0);
  page.dispatchEvent(new Event("online"));
  assert.equal(calls, 1);
  page.document.visibilityState = "hidden";
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(calls, 1, "a page that is hidden was taken for one that is seen");
  page.document.visibilityState = "visible";
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(calls, 2);
  end();
  page.dispatchEvent(new Event("online"));
  page.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(calls, 2, "it was not ended");
});

Deno.test("onNetworkBack() works in a worker, which has no document, and does nothing where there is no browser", () => {
  const worker = Object.assign(new EventTarget(), { navigator: { onLine: false } });
  let calls = 0;
  const end = onNetworkBack(() => calls++, worker as Scope);
  worker.dispatchEvent(new Event("online"));
  end();
  worker.dispatchEvent(new Event("online"));
  assert.equal(calls, 1);
  const elsewhere = Object.assign(new EventTarget(), { navigator: {} });
  onNetworkBack(() => calls++, elsewhere as Scope)();
  onNetworkBack(() => calls++, elsewhere as Scope);
  elsewhere.dispatchEvent(new Event("online"));
  assert.equal(calls, 1);
});
