import { join } from "node:path";
import { makePair } from "../helpers/programs.ts";
import { Random } from "../helpers/random.ts";
import { BackendProcess } from "./backend_process.ts";
import { type Addresses, configText, type Doors, REUSE_BUFFER, TARGETS, VARIANTS } from "./config.ts";
import { Failures } from "./failures.ts";
import { Manager } from "./manager.ts";
import { Operator } from "./operator.ts";
import type { Options } from "./options.ts";
import { Population } from "./population.ts";
import { freePort } from "./port.ts";
import { ProxyProcess } from "./proxy_process.ts";
import { Strays } from "./strays.ts";
import { Tally } from "./tally.ts";
import { TRANSPORTS } from "./transports.ts";
import { Turnover } from "./turnover.ts";
import { Weather } from "./weather.ts";

/** All that takes part in a run. */
export interface Run {
  options: Options;
  /** Where the configuration and the log of the proxy are. */
  dir: string;
  manager: Manager;
  backend: BackendProcess;
  proxy: ProxyProcess;
  weather: Weather;
  population: Population;
  strays: Strays;
  turnover: Turnover;
  operator: Operator;
  tally: Tally;
  failures: Failures;
}

/** Starts the backends and the proxy; nobody talks to it yet. */
export async function prepare(options: Options): Promise<Run> {
  const random = new Random(options.seed);
  const [tally, failures] = [new Tally(), new Failures()];
  const { backend, addresses: backends } = await BackendProcess.start({ burst: REUSE_BUFFER, failures });
  const addresses = chooseAddresses(backends, random);
  const dir = await Deno.makeTempDir({ prefix: "goscon_soak_" });
  const tls = await makePair(dir, "proxy");
  const config = { workers: options.workers, tls };
  const configFile = join(dir, "config.yaml");
  await Deno.writeTextFile(configFile, configText(VARIANTS[0], addresses, config));
  const manager = new Manager(addresses.manager);
  const proxy = await ProxyProcess.start({ configFile, logFile: join(dir, "proxy.log"), manager, failures });
  const weather = new Weather({ doors: addresses.doors, ca: await Deno.readTextFile(tls.cert), tally });
  const shared = { weather, tally, failures };
  const population = new Population({ ...shared, targets: TARGETS, burst: REUSE_BUFFER, random: random.fork() });
  const strays = new Strays({ weather, target: TARGETS[0]!, random: random.fork() });
  const { upgrades } = options;
  const operator = new Operator({
    ...shared,
    addresses,
    config,
    upgradeEvery: upgrades === 0 ? undefined : options.time / (upgrades + 1),
    configFile,
    manager,
    proxy,
    population,
    random: random.fork(),
  });
  const turnover = new Turnover(population);
  return { options, dir, manager, backend, proxy, population, strays, turnover, operator, ...shared };
}

function chooseAddresses(backends: string[], random: Random): Addresses {
  const ports = new Set<number>();
  while (ports.size < 2 * TRANSPORTS.length + 2) ports.add(freePort(random));
  const all = [...ports].map((port) => `127.0.0.1:${port}`);
  const next = () => all.pop()!;
  const doors = Object.fromEntries(TRANSPORTS.map((each) => [each, { goscon: next(), plain: next() }])) as Doors;
  return { doors, extra: next(), manager: next(), backends };
}
