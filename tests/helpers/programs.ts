/** Whether a program can be started by its name: `outputSync` throws where there is none. */
export function isInstalled(name: string): boolean {
  try {
    new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
    return true;
  } catch {
    return false;
  }
}

/** What checks metrics, of Prometheus. */
export const HAS_PROMTOOL = isInstalled("promtool");

/** What makes certificates. */
export const HAS_OPENSSL = isInstalled("openssl");

/** Of util-linux: limits of processes that run. */
export const HAS_PRLIMIT = isInstalled("prlimit");

/** A self-signed certificate for localhost and 127.0.0.1, and its key, in files of `dir`. */
export async function makePair(dir: string, name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [`${dir}/${name}.pem`, `${dir}/${name}.key`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const end = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const args = ["req", "-x509", ...curve, ...end, "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...names];
  const { success, stderr } = await new Deno.Command("openssl", { args, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return { cert, key };
}
