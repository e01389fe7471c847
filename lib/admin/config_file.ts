import { dirname, join } from "node:path";
import embedded from "../../config.yaml" with { type: "text" };
import type { LoadCa, LoadPair } from "../config.ts";
import { reasonOf } from "../link/link.ts";
import { checkCa } from "../link/trust.ts";

const NAME = "config.yaml";

/** Where a configuration is from: the same for the life of a process, whatever appears or goes meanwhile. */
export interface ConfigSource {
  /** For people. */
  file: string;
  /** The text, as it is now. Throws `ConfigFileError` when it cannot be read. */
  read: () => string;
}

/** A file that cannot be read: its message is one sentence for the operator. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
  readonly file: string;

  constructor(message: string, file: string) {
    super(message);
    this.file = file;
  }
}

/**
 * Finds the configuration: the file that was `given`, or else `config.yaml` of the current directory, or of that of the
 * binary, or the one that is embedded.
 */
export function findConfig(given: string | undefined): ConfigSource {
  const beside = Deno.build.standalone ? [join(dirname(Deno.execPath()), NAME)] : [];
  const file = given ?? [NAME, ...beside].find(exists);
  return file === undefined
    ? { file: `${NAME} (embedded)`, read: () => embedded }
    : { file, read: () => readFile(file, "the configuration") };
}

/** Reads a certificate and its key, and tries them: see `LoadPair`. */
export const readPair: LoadPair = (certFile, keyFile) => {
  const [cert, key] = [readCertificate(certFile), readFile(keyFile, "the key")];
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  } catch (error) {
    throw new Error(`${certFile} and ${keyFile} are no certificate with its key: ${reasonOf(error)}`);
  }
  return { cert, key };
};

/** Reads the certificates of authorities: see `LoadCa`. */
export const readCa: LoadCa = (file) => {
  const ca = readCertificate(file);
  checkCa({ ca });
  return ca;
};

/** Reads what is to be certificates. Throws `ConfigFileError` when it cannot. */
export function readCertificate(file: string): string {
  return readFile(file, "the certificate");
}

function exists(file: string): boolean {
  try {
    Deno.lstatSync(file);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function readFile(file: string, what: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied"
      : reasonOf(error);
    throw new ConfigFileError(`Cannot read ${what} ${file}: ${reason}`, file);
  }
}
