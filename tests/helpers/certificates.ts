import { makePair } from "./programs.ts";

/** A certificate and its key: the files, and what is in the first. */
export interface Pair {
  files: { cert: string; key: string };
  cert: string;
}

/** Certificates in a directory of their own, which is removed again. */
export class Certificates implements Disposable {
  readonly dir = Deno.makeTempDirSync();

  /** Makes one, signed by itself. `names`: whom it is for, as openssl has them; by default localhost and 127.0.0.1. */
  async make(name: string, names?: string): Promise<Pair> {
    const files = await makePair(this.dir, name, names);
    return { files, cert: Deno.readTextFileSync(files.cert) };
  }

  path(name: string): string {
    return `${this.dir}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}
