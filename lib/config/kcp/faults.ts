import { type Fault, faultAt, type Node, type Path } from "../document.ts";
import { parseNumber } from "../units.ts";
import { kcpEntries } from "./schema.ts";

// deno-lint-ignore no-explicit-any -- a file may hold anything
type Anything = any;

/** What KCP and FEC put around the data of a segment, and what of a datagram kcp-go has at least for a segment and its data. */
const FEC_OVERHEAD = 8;
const LEAST_MTU = 50;
/** Of an MTU that the file does not tell. */
const DEFAULT_MTU = 1400;
/** Datagrams of a group: there are so many numbers in a byte. */
const LARGEST_GROUP = 256;

/** Those keys of an entry of `listen` that mean nothing with KCP. */
const NOT_WITH_KCP = ["tls", "accept_proxy", "trusted"];

/** What is wrong with an entry of `listen` whose keys are each right, as to KCP: where, and what. */
export function* faultsOfKcpEntry(entry: Anything): Generator<[key: Path, text: string]> {
  if (!("kcp" in entry)) {
    for (const key of Object.keys(kcpEntries)) {
      if (key in entry) yield [[key], "only a listener of KCP (kcp) has this"];
    }
    return;
  }
  for (const key of NOT_WITH_KCP) if (key in entry) yield [[key], "a listener of KCP (kcp) has none"];
  const { data, parity } = entry.fec ?? {};
  for (const text of faultsOfFec({ data, parity, mtu: entry.mtu, names: "data and parity" })) yield [["fec"], text];
}

/** The same of goscon's section `kcp_option`. */
export function faultsOfKcpOption(option: Anything, root: Node): Fault[] {
  const { fec_data_shards: data, fec_parity_shards: parity, opt_mtu: mtu } = option ?? {};
  const names = "fec_data_shards and fec_parity_shards";
  if (!hasFec(data, parity)) return [];
  return [...faultsOfFec({ data, parity, mtu, names })].map((text) =>
    faultAt(root, ["kcp_option", "fec_data_shards"], text)
  );
}

/** That there is no FEC although one of both numbers is set: so it is with goscon. */
export function halfFec(option: Anything, root: Node): Fault[] {
  const { fec_data_shards: data, fec_parity_shards: parity } = option ?? {};
  const [set, missing] = numberOf(data) > 0 ? ["fec_data_shards", "fec_parity_shards"] : [
    "fec_parity_shards",
    "fec_data_shards",
  ];
  if (hasFec(data, parity) || !(numberOf(option?.[set!]) > 0)) return [];
  return [faultAt(root, ["kcp_option", set!], `has no effect: without ${missing} there is no FEC`)];
}

function* faultsOfFec({ data, parity, mtu, names }: Record<string, Anything>): Generator<string> {
  if (!hasFec(data, parity)) return;
  if (numberOf(data) + numberOf(parity) > LARGEST_GROUP) yield `expected at most ${LARGEST_GROUP} of ${names} together`;
  if (numberOf(mtu ?? DEFAULT_MTU) < LEAST_MTU + FEC_OVERHEAD) {
    yield `takes ${FEC_OVERHEAD} bytes of each datagram: expected an mtu of at least ${LEAST_MTU + FEC_OVERHEAD}`;
  }
}

function hasFec(data: Anything, parity: Anything): boolean {
  return numberOf(data) > 0 && numberOf(parity) > 0;
}

/** NaN: it is none, of which the schema tells. */
function numberOf(value: Anything): number {
  return parseNumber(String(value)) ?? NaN;
}
