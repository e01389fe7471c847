import { dirname, join } from "node:path";
import embedded from "../../config.yaml" with { type: "text" };
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
  if (given !== undefined) return { file: given, text: read(given) };
  const beside = Deno.build.standalone ? [join(dirname(Deno.execPath()), NAME)] : [];
  const file = [NAME, ...beside].find(exists);
  return file === undefined ? { file: `${NAME} (embedded)`, text: embedded } : { file, text: read(file) };
}

function exists(file: string): boolean {
  try {
    Deno.lstatSync(file);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function read(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied"
      : reasonOf(error);
    throw new ConfigFileError(`Cannot read the configuration ${file}: ${reason}`);
  }
}
