import { dirname, join } from "node:path";
import embedded from "../../config.yaml" with { type: "text" };
import type { LoadPair } from "../config.ts";
import { reasonOf } from "../link/link.ts";

const NAME = "config.yaml";

/** The text of a configuration, and where it is from, for people. */
export interface ConfigFile {
  file: string;
  text: string;
}

/** A file that cannot be read: its message is one sentence for the operator. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
}

/**
 * Reads the configuration: the file that was `given`, or else `config.yaml` of the current directory, or of that of the
 * binary, or the one that is embedded. Throws `ConfigFileError` when the given file, or one that is there, cannot be read.
 */
export function readConfigFile(given: string | undefined): ConfigFile {
  if (given !== undefined) return { file: given, text: readFile(given, "the configuration") };
  const beside = Deno.build.standalone ? [join(dirname(Deno.execPath()), NAME)] : [];
  const file = [NAME, ...beside].find(exists);
  return file === undefined
    ? { file: `${NAME} (embedded)`, text: embedded }
    : { file, text: readFile(file, "the configuration") };
}

/** Reads a certificate and its key, and tries them: see `LoadPair`. */
export const readPair: LoadPair = (certFile, keyFile) => {
  const [cert, key] = [readFile(certFile, "the certificate"), readFile(keyFile, "the key")];
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  } catch (error) {
    throw new Error(`${certFile} and ${keyFile} are no certificate with its key: ${reasonOf(error)}`);
  }
  return { cert, key };
};

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
    throw new ConfigFileError(`Cannot read ${what} ${file}: ${reason}`);
  }
}
