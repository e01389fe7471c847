import type { ClusterTls } from "../../lib/config/types.ts";
import { Certificates } from "./certificates.ts";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** What signs the certificates of peers, in a directory of its own, which is removed again. */
export class Authority implements Disposable {
  readonly #certificates = new Certificates();

  /** Makes one, whose certificate is in `ca.pem`. */
  static async make(): Promise<Authority> {
    const authority = new Authority();
    const { path } = authority;
    await openssl([
      "req",
      "-x509",
      ...KEY,
      "-days",
      "2",
      "-keyout",
      path("ca.key"),
      "-out",
      path("ca.pem"),
      "-subj",
      "/CN=ca",
    ]);
    return authority;
  }

  readonly path = (name: string): string => this.#certificates.path(name);

  /** What a peer has that it signed for that name; `days`: until when, from now. */
  async issue(name: string, { days = 2 } = {}): Promise<ClusterTls> {
    const { path } = this;
    const request = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    await openssl(["req", ...KEY, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), ...request]);
    const signer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial"];
    const certificate = ["-in", path(`${name}.csr`), "-out", path(`${name}.pem`), "-copy_extensions", "copy"];
    await openssl(["x509", "-req", ...certificate, ...signer, "-days", String(days)]);
    return this.#tls(path(`${name}.pem`), path(`${name}.key`), name);
  }

  /** What a peer has that signed its certificate itself, and says that this one did. */
  async selfSigned(name: string): Promise<ClusterTls> {
    const { files } = await this.#certificates.make("self", `DNS:${name}`);
    return this.#tls(files.cert, files.key, name);
  }

  #tls(certFile: string, keyFile: string, name: string): ClusterTls {
    const caFile = this.path("ca.pem");
    const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => Deno.readTextFileSync(file)) as [
      string,
      string,
      string,
    ];
    return { caFile, certFile, keyFile, ca, cert, key, name };
  }

  [Symbol.dispose](): void {
    this.#certificates[Symbol.dispose]();
  }
}

async function openssl(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
